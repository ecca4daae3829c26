"""The post-rankers of an export, built from the settings that its manifest gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.errors import Error
from shortlist.export.device.candidates import Candidates
from shortlist.export.device.diversity import diversify
from shortlist.export.device.inputs import Request
from shortlist.export.device.items import Items
from shortlist.export.device.rules import boost, cap, exclude, freshen
from shortlist.export.manifest_parser import Fields
from shortlist.export.tables import Float32Array

PostRanker = Callable[[Candidates, Request], Candidates]

SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def build_postranker(
    settings: Mapping[str, Any],
    items: Items,
    tables: Mapping[str, Float32Array],
    vectors: Float32Array | None,
    *,
    where: str,
) -> PostRanker:
    """Build one post-ranker.

    Args:
        settings: its `kind` and the rest.
        items: of the export.
        tables: of the export, by name.
        vectors: `[rows, dim]` that items are compared by, or None.
        where: path of the manifest, for messages.

    Raises:
        BundleError: a setting is missing or out of range, or names what the export does not hold.
    """
    read = Fields(dict(settings), f"postrank {settings.get('kind')}", where)
    kind = read.one_of("kind", ("Boost", "Cap", "Diversity", "Exclude", "Freshness"))
    try:
        if kind == "Exclude":
            blocked = None if read.content.get("table") is None else _numbers(read, tables) > 0
            return partial(exclude, blocked=blocked, seen=read.flag("seen"))
        if kind == "Boost":
            how = read.one_of("how", ("multiply", "add"))
            strengths = _numbers(read, tables).astype(np.float64)
            return partial(boost, strengths=strengths, by=_number(read, "by"), how=how)
        if kind == "Freshness":
            seconds = items.seconds(read.text("column"))
            return partial(freshen, seconds=seconds, half_life=_half_life(read), strength=_share(read))
        if kind == "Cap":
            tags = items.tags(read.text("column"))
            return partial(cap, tags=tags, at_most=read.whole("at_most", least=1), fill=read.flag("fill"))
        return _diversity(read, items, vectors)
    except Error as error:
        if error.where == where:
            raise
        raise read.refused(error.what) from error


def _diversity(read: Fields, items: Items, vectors: Float32Array | None) -> PostRanker:
    by = None if read.content.get("by") is None else read.text("by")
    if by is None and vectors is None:
        raise read.refused("it has neither a column nor vectors to compare by")
    return partial(
        diversify,
        strength=_share(read),
        method=read.one_of("method", ("mmr", "dpp")),
        vectors=vectors if by is None else None,
        tags=None if by is None else items.tags(by),
    )


def _numbers(read: Fields, tables: Mapping[str, Float32Array]) -> NDArray[np.float32]:
    """`[rows]` the numbers of a table of one number an item."""
    table = tables[read.one_of("table", tables)]
    if table.shape[1] != 1:
        raise read.refused(f"its table has {table.shape[1]} numbers an item, not one")
    return table[:, 0]


def _share(read: Fields) -> float:
    share = read.share("strength")
    if share is None:
        raise read.refused("strength is missing")
    return share


def _number(read: Fields, name: str) -> float:
    found = read.content.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < 1e9:
        raise read.refused(f"{name} is {found!r:.40}, not a number")
    return float(found)


def _half_life(read: Fields) -> int:
    # As shortlist.data.duration reads it, which brings Polars and PyTorch with its package.
    text = read.text("half_life").strip()
    count, unit = text[:-1].strip(), text[-1:]
    if not (count.isascii() and count.isdigit() and len(count) < 13 and int(count) and unit in SECONDS):
        raise read.refused(f'half_life is {text!r:.40}, not a length of time such as "30d"')
    return int(count) * SECONDS[unit]
