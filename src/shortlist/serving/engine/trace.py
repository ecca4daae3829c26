"""The lists after every stage, as an explained answer shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from shortlist.funnel.checks import stage_names
from shortlist.funnel.explain import found_by
from shortlist.funnel.funnel import Funnel
from shortlist.postrank import PostRanker, to_dict
from shortlist.serving.engine.stages import Lists
from shortlist.serving.schemas.api import Stage


def traces(
    funnel: Funnel, lists: Lists, *, fields: Sequence[str], postrank: Sequence[PostRanker]
) -> list[list[Stage]]:
    """What came out of each stage, for each request of a batch.

    Args:
        funnel: where the lists come from.
        lists: what came out of each stage.
        fields: item columns to show, with the first stage, which has all the items of the later ones.
        postrank: the post-rankers that the requests went through.
    """
    settings = _settings(funnel, postrank)
    return [_trace(funnel, lists, row, fields, settings) for row in range(len(lists[0][1]))]


def _trace(
    funnel: Funnel, lists: Lists, row: int, fields: Sequence[str], settings: dict[str, dict[str, Any]]
) -> list[Stage]:
    stages: list[Stage] = []
    shown: set[str] = set()
    for name, found in lists:
        low, high = found.items.offsets[row : row + 2].tolist()
        items = found.items.values[low:high]
        new = {key: column for key, column in found.features.items() if key not in shown}
        shown.update(new)
        stages.append(
            Stage(
                name=name,
                items=funnel.data.item_vocabulary.decode(items.numpy()).to_list(),
                scores=found.scores[low:high].tolist(),
                found_by=[", ".join(names) for names in found_by(found.sources[low:high], funnel.retrievers)],
                features={key: column[low:high].tolist() for key, column in new.items()},
                settings=settings.get(name, {}),
                columns={} if stages else _columns(funnel, items, fields),
            )
        )
    return stages


def _settings(funnel: Funnel, postrank: Sequence[PostRanker]) -> dict[str, dict[str, Any]]:
    """What decides at each stage behind retrieval."""
    names = stage_names(funnel.rank, postrank)[:-1]
    found: dict[str, dict[str, Any]] = {}
    if funnel.rank is not None:
        found["rank"] = {"keep": funnel.rank.keep}
    own = names[len(names) - len(postrank) :]
    return found | {name: to_dict(stage) for name, stage in zip(own, postrank, strict=True)}


def _columns(funnel: Funnel, items: Tensor, fields: Sequence[str]) -> dict[str, list[Any]]:
    if not fields:
        return {}
    rows = funnel.catalogue.items.select(fields)[items.numpy()]
    return {name: rows[name].to_list() for name in fields}
