"""What can go wrong, said so that a person can act on it.

Every error has three parts: what was wrong, where, and what to do.

    Error
    ├── DataError (ValueError)       a table, a column or a row
    │   └── SchemaError              a column that is missing or of the wrong kind
    ├── ShapeError (ValueError)      tensors that do not fit together
    ├── ConfigError (ValueError)     an argument or a key of shortlist.toml
    ├── UnknownIdError (KeyError)    an id outside the vocabulary
    ├── BundleError (ValueError)     a damaged, foreign or newer file
    ├── NotFittedError (RuntimeError) a model used before it was trained
    ├── TrainingError (RuntimeError) a loss that is not a number
    └── StoreError (RuntimeError)    a server's database that cannot be used
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Error(Exception):
    """Base of all errors that shortlist raises on purpose.

    Args:
        what: what was wrong, naming the field and the value.
        where: the file, table, column or row it was found in; empty when the caller knows.
        remedy: what to do about it; empty only when nothing can be done.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        advice = f"; {self.remedy}" if self.remedy else ""
        return f"{self.what}{place}{advice}"


class DataError(Error, ValueError):
    """A table, a column or a row that cannot be used."""


class SchemaError(DataError):
    """A column that is missing, named twice or of the wrong kind."""


class ShapeError(Error, ValueError):
    """Arrays or tensors whose shapes or dtypes do not fit together."""


class ConfigError(Error, ValueError):
    """An argument or a configuration key that is out of range, misspelt or contradictory."""


class UnknownIdError(Error, KeyError):
    """An id that the vocabulary does not hold."""


class BundleError(Error, ValueError):
    """A saved file that is damaged, foreign or newer than this version."""


class NotFittedError(Error, RuntimeError):
    """A model, index or encoder used before it was fitted."""


class TrainingError(Error, RuntimeError):
    """Training that cannot go on, such as a loss that is not a number."""


class StoreError(Error, RuntimeError):
    """A server's store that cannot be reached, or holds what this version cannot read."""


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Suggest the nearest of some names, for the remedy of an error.

    Args:
        name: what was given.
        choices: what would have been accepted.

    Returns:
        `"did you mean 'x'? "` with the nearest name, followed by all the choices (ten at most).
    """
    known = list(choices)
    by_lower = {choice.lower(): choice for choice in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    hint = f"did you mean {by_lower[near[0]]!r}? " if near else ""
    listed = ", ".join(repr(choice) for choice in known[:10]) + (", …" if len(known) > 10 else "")
    return f"{hint}it can be one of {listed}" if known else hint.strip()
