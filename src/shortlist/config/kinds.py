"""Tables with a `kind`: features, post-rankers and retrievers, checked against the classes themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from shortlist.config.problems import config_error, shortened, table_name
from shortlist.errors import ConfigError, Error, did_you_mean

T = TypeVar("T")
LARGEST = 1 << 63  # ids may be as large; beyond, tensors and tables overflow


def make(factory: Callable[..., T], given: Mapping[str, Any], *, where: str) -> T:
    """Call a class with keys of the file, each of the type that the class says.

    Args:
        factory: a class with types on the arguments of its constructor.
        given: the keys.
        where: the file and the table, for errors.

    Raises:
        ConfigError: a key is unknown or missing, or a value is refused.
    """
    model = _arguments_of(factory)
    for name, value in given.items():
        if _is_too_large(value):
            raise ConfigError(
                f"{name} is {shortened(value)}", where=where, remedy="give whole numbers that fit 64 bits"
            )
    try:
        model.model_validate(dict(given))
    except ValidationError as error:
        raise config_error(error, model, where=where) from error
    try:
        return factory(**given)
    except ConfigError as error:
        raise placed(error, where) from error


def make_kinds(
    kinds: Sequence[type[T]], tables: Sequence[Mapping[str, Any]], *, where: str, table: str
) -> tuple[T, ...]:
    """Make an object of each of several tables, of the class that its `kind` names.

    Args:
        kinds: the classes to choose from.
        tables: each with `kind` and the arguments of that class.
        where: the file.
        table: name of the tables, such as `"retriever.query"`.

    Raises:
        ConfigError: a kind is missing or unknown, or its arguments are refused.
    """
    places = (f"{where}, {table_name([*table.split('.'), number])}" for number in range(len(tables)))
    return tuple(make_kind(kinds, given, where=place) for given, place in zip(tables, places, strict=True))


def make_kind(kinds: Sequence[type[T]], given: Mapping[str, Any], *, where: str) -> T:
    """Make an object of the class that a table's `kind` names.

    Args:
        kinds: the classes to choose from.
        given: `kind` and the arguments of that class.
        where: the file and the table, for errors.

    Raises:
        ConfigError: the kind is missing or unknown, or its arguments are refused.
    """
    named = {cls.__name__: cls for cls in kinds}
    kind = given.get("kind")
    if kind is None:
        raise ConfigError("'kind' is missing", where=where, remedy=did_you_mean("", named))
    if not isinstance(kind, str) or kind not in named:
        raise ConfigError(f"kind {kind!r} is unknown", where=where, remedy=did_you_mean(str(kind), named))
    arguments = {name: value for name, value in given.items() if name != "kind"}
    return make(named[kind], arguments, where=f"{where}, kind = {kind!r}")


def placed(error: Error, where: str) -> ConfigError:
    """The same complaint with the place in the file in front of its own."""
    inner = f"{where}, {error.where}" if error.where else where
    return ConfigError(error.what, where=inner, remedy=error.remedy)


def _is_too_large(value: Any) -> bool:
    """Whether a value holds an integer that no tensor can hold."""
    if isinstance(value, list | dict):
        return any(map(_is_too_large, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and not -LARGEST <= value < LARGEST


@cache
def _arguments_of(factory: Callable[..., Any]) -> type[BaseModel]:
    """The arguments of a constructor as a pydantic model."""
    annotated = factory.__init__ if isinstance(factory, type) else factory  # type: ignore[misc]  # only its annotations are read
    hints = get_type_hints(annotated, include_extras=True)  # with the bounds of numbers
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (hints[name], Field(default))
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
    return create_model(getattr(factory, "__name__", "arguments"), __config__=config, **fields)
