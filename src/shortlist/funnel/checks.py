"""What a funnel refuses, or warns of, when it is put together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from shortlist.errors import ConfigError, did_you_mean
from shortlist.funnel.rank import Scored
from shortlist.funnel.retrieve import Retriever
from shortlist.postrank import Boost, Cap, Diversity, Explore, Freshness, PostRanker

RESCORING = (Boost, Freshness)
REORDERING = (Cap, Diversity, Explore)


class OrderUndone(UserWarning):
    """A post-ranker that sorts by score stands behind one whose order is not that of the scores."""


def check_stages(
    retrievers: Sequence[Retriever], rank: Scored | None, postrank: Sequence[PostRanker], size: int
) -> None:
    """Refuse stages that cannot work together.

    Args:
        retrievers: of the funnel.
        rank: its ranker, if any.
        postrank: its post-rankers.
        size: length of its lists.

    Raises:
        ConfigError: there is no retriever, two have one name, the ranker reads a score that no retriever
            gives, or `size` is less than 1.

    Warns:
        OrderUndone: a post-ranker undoes what one before it did.
    """
    if not retrievers:
        raise ConfigError("a funnel needs a retriever", remedy="such as retrieve=[sl.retrieve.Popular()]")
    names = [each.name for each in retrievers]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"two retrievers are named {name!r}", remedy="give one of them another: name='…'"
            )
    if not isinstance(size, int) or size < 1:
        raise ConfigError(f"size must be a whole number from 1, got {size!r}", remedy="such as 12")
    given = [f"score_{name}" for name in names]
    for score in rank.ranker.scores if rank is not None else ():
        if score not in given:
            raise ConfigError(
                f"the ranker reads {score!r}, which no retriever gives",
                where="Funnel",
                remedy=f"name the retriever so; {did_you_mean(score, given)}",
            )
    _warn_of_order(postrank)


def stage_names(rank: Scored | None, postrank: Sequence[PostRanker]) -> tuple[str, ...]:
    """The names of a funnel's stages, all different.

    Args:
        rank: its ranker, if any.
        postrank: its post-rankers, named by their class; of several with one name, from the second on
            with a number.

    Returns:
        From `"retrieve"` to `"final"`.
    """
    names = ["retrieve"] if rank is None else ["retrieve", "rank"]
    reserved = {"retrieve", "rank", "final"}
    for stage in postrank:
        name, number = type(stage).__name__.lower(), 1
        while (label := name if number == 1 else f"{name} {number}") in reserved:
            number += 1
        reserved.add(label)
        names.append(label)
    return (*names, "final")


def _warn_of_order(postrank: Sequence[PostRanker]) -> None:
    reordering: PostRanker | None = None
    for stage in postrank:
        if isinstance(stage, RESCORING) and reordering is not None:
            first, second = type(reordering).__name__, type(stage).__name__
            warnings.warn(
                f"{second} sorts by score and so undoes the order of {first}, which stands before it; "
                f"put {second} before {first}",
                OrderUndone,
                stacklevel=4,
            )
        reordering = stage if isinstance(stage, REORDERING) else reordering
