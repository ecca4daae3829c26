"""Read `shortlist.toml`: every mistake is one ConfigError with its place."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shortlist.config.config import Config
from shortlist.config.problems import config_error
from shortlist.config.sections import Settings
from shortlist.errors import ConfigError

LARGEST = 1 << 24  # bytes; nobody writes a longer one


def load_config(path: str | Path = "shortlist.toml") -> Config:
    """Read a configuration and check all that can be checked without the tables.

    Args:
        path: the TOML file; the paths in it are relative to its folder.

    Returns:
        The configuration; its methods make the dataset, the models and the funnel.

    Raises:
        ConfigError: the file is missing or is no TOML, a key is unknown or missing, or a value is refused;
            the message names the key, its table and the nearest right name.
    """
    file = Path(path)
    document = _parse(file)
    try:
        settings = Settings.model_validate(document)
    except ValidationError as error:
        raise config_error(error, Settings, where=str(file)) from error
    return Config.of(settings, file)


def _parse(file: Path) -> dict[str, Any]:
    text = _read(file)
    try:
        return tomllib.loads(text)
    except (
        ValueError,
        RecursionError,
    ) as error:  # also what int() and deep nesting give, not only TOML's own
        raise ConfigError(f"not TOML: {error}", where=str(file), remedy="mend that place") from error


def _read(file: Path) -> str:
    where = str(file)
    if "\0" in where:
        raise ConfigError("a path cannot hold a null", where=repr(where), remedy="name the TOML file")
    try:
        too_large = file.stat().st_size > LARGEST
        content = b"" if too_large else file.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(
            "there is no such file", where=where, remedy="write one with: shortlist init EVENTS.parquet"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"the file cannot be read: {error.strerror}", where=where, remedy="name the TOML file"
        ) from error
    if too_large:
        raise ConfigError("the file is larger than 16 MB", where=where, remedy="name the TOML file")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"the file is not in UTF-8 (byte {error.start})", where=where, remedy="save it as UTF-8"
        ) from error
