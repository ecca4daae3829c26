"""Post-rankers as dictionaries that JSON and TOML can hold, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import polars as pl

from shortlist.errors import ConfigError, did_you_mean
from shortlist.postrank.cap import Cap
from shortlist.postrank.diversity import Diversity
from shortlist.postrank.explore import Explore
from shortlist.postrank.freshness import Freshness
from shortlist.postrank.protocol import PostRanker
from shortlist.postrank.rules import Boost, Exclude

_KINDS = {kind.__name__: kind for kind in (Boost, Cap, Diversity, Exclude, Explore, Freshness)}


def to_dict(post_ranker: PostRanker) -> dict[str, Any]:
    """The kind and the settings of a post-ranker.

    Args:
        post_ranker: one of this package's.

    Returns:
        `{"kind": name of the class, field: value, ...}` of plain JSON values; settings that are None are
        left out, since TOML has no null.

    Raises:
        ConfigError: the post-ranker is of another class, or holds a Polars expression.
    """
    kind = type(post_ranker).__name__
    if type(post_ranker) is not _KINDS.get(kind):
        raise ConfigError(
            f"a post-ranker of class {kind!r} cannot be saved",
            remedy=f"use one of {', '.join(_KINDS)}, or add your own to the funnel after loading it",
        )
    settings: dict[str, Any] = {"kind": kind}
    for field in fields(post_ranker):
        value = getattr(post_ranker, field.name)
        if isinstance(value, pl.Expr):
            raise ConfigError(
                f"{field.name} is a Polars expression, which no file can hold safely",
                where=kind,
                remedy='write it as text, such as where="year >= 1990 AND price < 20"',
            )
        if value is not None:
            settings[field.name] = list(value) if isinstance(value, tuple) else value
    return settings


def from_dict(settings: Mapping[str, Any]) -> PostRanker:
    """Build a post-ranker from what `to_dict` gave, or from a table of shortlist.toml.

    Args:
        settings: `kind` and the fields of that class; fields that are left out have their defaults.

    Raises:
        ConfigError: the kind or a field is unknown, a needed one is missing, or a value is refused.
    """
    kind = settings.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ConfigError(f"the post-ranker's kind is {kind!r}", remedy=did_you_mean(str(kind), _KINDS))
    chosen = _KINDS[kind]
    names = [field.name for field in fields(chosen)]
    given = {name: value for name, value in settings.items() if name != "kind"}
    for name in given:
        if name not in names:
            raise ConfigError(f"{kind} has no setting {name!r}", remedy=did_you_mean(name, names))
    try:
        post_ranker: PostRanker = chosen(**given)
    except TypeError as error:
        raise ConfigError(
            f"{kind} cannot be built: {error}", remedy=f"its settings are {', '.join(names)}"
        ) from error
    return post_ranker
