"""Lines of a TOML file: keys with comments, defaults that are commented out."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from shortlist.cli.toml_values import toml_value
from shortlist.data import Feature

KEY_WIDTH = 36  # where the comments of keys begin
WIDTH = 110


def feature_lines(name: str, features: Sequence[Feature], comment: str) -> list[str]:
    """A key with a list of features, one a line, each with what is not its class's default.

    Args:
        name: of the key.
        features: may be none.
        comment: what they are.
    """
    if not features:
        return [key_line(name, [], comment)]
    tables = []
    for feature in features:
        default = type(feature)(feature.column).to_dict()
        changed = {key: value for key, value in feature.to_dict().items() if value != default[key]}
        tables.append({"kind": type(feature).__name__, "column": feature.column, **changed})
    return [
        f"{f'{name} = [':<{KEY_WIDTH}}  # {comment}",
        *(f"    {toml_value(each)}," for each in tables),
        "]",
    ]


def default_lines(values: Mapping[str, Any], comments: Mapping[str, str]) -> list[str]:
    """Keys with a comment, commented out with their defaults.

    Args:
        values: by key.
        comments: what each key does; keys without one are left out.
    """
    return [key_line(key, values[key], comment, given=False) for key, comment in comments.items()]


def key_line(name: str, value: Any, comment: str = "", *, given: bool = True) -> str:
    """A key, its value and what it does.

    Args:
        name: a bare key.
        value: see `toml_value`.
        comment: what the key does.
        given: whether it counts; else it is commented out.
    """
    line = f"{'' if given else '# '}{name} = {toml_value(value)}"
    return f"{line:<{KEY_WIDTH}}  # {comment}" if comment else line


def comment_lines(text: str) -> list[str]:
    """A comment of several lines, wrapped.

    Args:
        text: its line breaks and indents stay.
    """
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, WIDTH - 2)]
    return [f"# {line}" for line in lines]


def commented(lines: Iterable[str]) -> list[str]:
    """Lines commented out, but for those that are comments or empty already.

    Args:
        lines: of the file.
    """
    return [line if line.startswith("#") or not line else f"# {line}" for line in lines]


def defaults(factory: Callable[..., Any]) -> dict[str, Any]:
    """The defaults of the arguments of a class or a function.

    Args:
        factory: a class, a section of the configuration or a function.
    """
    if hasattr(factory, "model_fields"):
        return {name: field.default for name, field in factory.model_fields.items()}
    parameters = inspect.signature(factory).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}
