"""Checks of settings that several post-rankers share."""

from __future__ import annotations

import math

from shortlist.errors import ConfigError


def check_number(value: object, *, field: str, stage: str) -> None:
    """Refuse what is not a finite number.

    Raises:
        ConfigError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError(f"{field} is {value!r}", where=stage, remedy="give a finite number")


def check_fraction(value: object, *, field: str, stage: str) -> None:
    """Refuse what is not a number in [0, 1].

    Raises:
        ConfigError: it is not.
    """
    check_number(value, field=field, stage=stage)
    if not 0 <= float(value) <= 1:  # type: ignore[arg-type]  # check_number has seen to it
        raise ConfigError(f"{field} is {value!r}", where=stage, remedy="give a number from 0 to 1")


def check_count(value: object, *, field: str, stage: str) -> None:
    """Refuse what is not a whole number of at least 1.

    Raises:
        ConfigError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{field} is {value!r}", where=stage, remedy="give a whole number of at least 1")


def check_flag(value: object, *, field: str, stage: str) -> None:
    """Refuse what is neither true nor false.

    Raises:
        ConfigError: it is neither.
    """
    if not isinstance(value, bool):
        raise ConfigError(f"{field} is {value!r}", where=stage, remedy="give true or false")


def check_column(value: object, *, field: str, stage: str) -> None:
    """Refuse what cannot be the name of a column.

    Raises:
        ConfigError: it is not a text, or empty.
    """
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{field} is {value!r}", where=stage, remedy='name a column, such as "genres"')
