"""Values and keys as TOML writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from shortlist.errors import ConfigError

BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_value(value: Any) -> str:
    """A string, number, bool, list or table as TOML, on one line.

    Args:
        value: what `tomllib` gives back for it.

    Raises:
        ConfigError: a string cannot be written in UTF-8, such as the name of a file in another encoding.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        pairs = [f"{toml_key(key)} = {toml_value(each)}" for key, each in value.items()]
        return "{ " + ", ".join(pairs) + " }" if pairs else "{}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return repr(value)


def toml_key(name: str) -> str:
    """A key, in quotes where it needs them.

    Args:
        name: any string.
    """
    return name if BARE.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{text!r} is not UTF-8, and a TOML file has to be", remedy="rename the file or the column"
        ) from error
    # JSON escapes all that TOML wants escaped but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
