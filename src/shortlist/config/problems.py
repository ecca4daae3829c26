"""What pydantic finds wrong, said as one error with its place and the nearest right name."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from shortlist.errors import ConfigError, did_you_mean

Place = Sequence[str | int]


def config_error(error: ValidationError, model: type[BaseModel], *, where: str) -> ConfigError:
    """Turn the first of pydantic's complaints into an error that a person can act on.

    Args:
        error: what `model` raised.
        model: describes the table that was checked.
        where: the file, and the table in it where `model` describes only one.

    Returns:
        An error that names the key, its table and the value, and says how many more there are.
    """
    problem = _worst(error)
    *tables, key = _readable(problem["loc"], model)
    table = table_name(tables)
    remedy = ""
    match problem["type"]:
        case "extra_forbidden":
            what = f"unknown key {key!r}"
            remedy = did_you_mean(str(key), _keys(model, problem["loc"][:-1]))
        case "missing":
            what = (
                f"the table [{key}] is missing" if _is_table(model, problem["loc"]) else f"{key!r} is missing"
            )
            remedy = "add it"
        case "union_tag_invalid":
            kind, table = problem["ctx"]["tag"], table_name([*tables, key])
            what = f"kind {kind!r} is unknown"
            remedy = did_you_mean(kind, _listed(problem["ctx"]["expected_tags"]))
        case _:
            what = f"{key} is {shortened(problem['input'])}: {_lower(problem['msg'])}"
            remedy = _remedy(problem)
    others = error.error_count() - 1
    if others and problem["type"] in ("extra_forbidden", "missing"):
        remedy += f" ({others} more problem{'s' if others > 1 else ''} in the file)"
    return ConfigError(what, where=", ".join(part for part in (where, table) if part), remedy=remedy)


def table_name(tables: Place) -> str:
    """A table of the file as it is written there: `[data.events.view]`, `[[postrank]] no. 2`."""
    name, number = "", ""
    for part in tables:
        if isinstance(part, int):
            number = f" no. {part + 1}"
        else:
            name += f".{part}" if name else part
    if not name:
        return ""
    return f"[[{name}]]{number}" if number else f"[{name}]"


def shortened(value: Any) -> str:
    """A value for a message: not longer than a line."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _worst(error: ValidationError) -> Any:
    """The first unknown key, else the first problem: a misspelt key also makes another one missing."""
    problems = error.errors(include_url=False)
    return next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])


def _readable(place: Place, model: type[BaseModel]) -> list[str | int]:
    """A place without the names that pydantic gives to the members of a union."""
    parts: list[str | int] = []
    annotation: Any = model
    for part in place:
        inner = _inner(annotation, part)
        if inner is None and parts:
            continue
        if not _is_kind(inner, part):
            parts.append(part)
        annotation = inner
    return parts or [str(place[-1]) if place else ""]


def _inner(annotation: Any, part: str | int) -> Any:
    """The annotation of one part of a value, or None where the part is no key and no position."""
    members = _members(annotation)
    for member in members:
        if _is_kind(member, part):
            return member
    for member in members:
        if _is_model(member) and isinstance(part, str):
            field = member.model_fields.get(part)
            return Any if field is None else field.annotation
        if get_origin(member) is dict and isinstance(part, str):
            return get_args(member)[1]
        if get_origin(member) is list and isinstance(part, int):
            return get_args(member)[0]
    return None


def _is_model(annotation: Any) -> bool:
    """Whether an annotation is a table with keys of its own."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_kind(annotation: Any, part: str | int) -> bool:
    """Whether a part of a place is no key, but the `kind` by which pydantic chose this table."""
    return (
        _is_model(annotation)
        and "kind" in annotation.model_fields
        and (annotation.model_fields["kind"].default == part)
    )


def _members(annotation: Any) -> list[Any]:
    """The members of a union, or the annotation itself; what `Annotated` adds is taken off."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [inner for each in get_args(annotation) for inner in _members(each)]
    if hasattr(annotation, "__metadata__"):
        return _members(annotation.__origin__)
    return [annotation]


def _is_table(model: type[BaseModel], place: Place) -> bool:
    """Whether a missing key is a whole table of the file."""
    annotation: Any = model
    for part in place:
        annotation = _inner(annotation, part)
    return _is_model(annotation)


def _keys(model: type[BaseModel], place: Place) -> list[str]:
    """The keys that the table at a place may have."""
    annotation: Any = model
    for part in place:
        annotation = _inner(annotation, part)
    return next((list(each.model_fields) for each in _members(annotation) if _is_model(each)), [])


def _remedy(problem: Any) -> str:
    if problem["type"] == "literal_error":
        return did_you_mean(str(problem["input"]), _listed(problem["ctx"]["expected"]))
    return "see the comments that `shortlist init` writes"


def _listed(names: str) -> list[str]:
    """The names in a list that pydantic wrote in words."""
    return names.replace(" or ", ", ").replace("'", "").split(", ")


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:].replace("Input should be", "it should be")
