"""Looks into an engine for people: what its funnel consists of, its items and users, what they did."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

import polars as pl
import torch

from shortlist.data.catalogue import Catalogue
from shortlist.data.vocabulary import Vocabulary
from shortlist.funnel.explain import TITLE_COLUMNS, item_titles
from shortlist.postrank import to_dict
from shortlist.serving.engine.engine import Engine
from shortlist.serving.engine.items import FIRST_SEEN
from shortlist.serving.engine.past import Past, ask
from shortlist.serving.schemas.api import MAX_ITEMS, Asking
from shortlist.serving.schemas.views import (
    FoundItems,
    FoundUsers,
    FunnelView,
    HistoryView,
    ItemView,
    Kind,
    RankerView,
    RetrieverView,
)


def funnel_view(engine: Engine) -> FunnelView:
    """The parts of an engine's funnel.

    Args:
        engine: the engine.
    """
    funnel, rank = engine.funnel, engine.funnel.rank
    data, catalogue = funnel.data, funnel.catalogue
    return FunnelView(
        bundle=engine.speaker.bundle,
        items=len(data.item_vocabulary) - 1,
        users=len(data.user_vocabulary) - 1,
        events=len(data),
        size=funnel.size,
        retrieve=[RetrieverView(each.name, type(each.model).__name__, each.k) for each in funnel.retrievers],
        rank=None if rank is None else RankerView(type(rank.ranker).__name__, rank.keep),
        postrank=[to_dict(each) for each in funnel.postrank],
        title=title_column(catalogue),
        columns={
            name: _kind(name, catalogue.items[name].dtype)
            for name in catalogue.columns
            if name != data.schema.item_id
        },
        vectors=catalogue.vectors is not None,
    )


def find_items(engine: Engine, search: str, k: int) -> FoundItems:
    """Items whose id or title holds a text.

    Args:
        engine: the engine.
        search: the text; any case.
        k: how many at most.
    """
    catalogue = engine.funnel.catalogue
    title = title_column(catalogue)
    texts = [catalogue.vocabulary.ids] + ([] if title is None else [catalogue.items[title][1:]])
    found = torch.tensor(_matches(catalogue.vocabulary, texts, search, k), dtype=torch.int64)
    return FoundItems(engine.speaker.ids(found), item_titles(catalogue, found).fill_null("").to_list())


def item_view(engine: Engine, item: str) -> ItemView:
    """All that the funnel knows of an item.

    Args:
        engine: the engine.
        item: its id.

    Raises:
        UnknownIdError: the item is not known.
    """
    catalogue, key = engine.funnel.catalogue, engine.funnel.data.schema.item_id
    index = catalogue.vocabulary.index_of(item)
    row = catalogue.items.row(index, named=True)
    (title,) = item_titles(catalogue, torch.tensor([index])).fill_null("").to_list()
    return ItemView(
        id=row.pop(key),
        title=title,
        columns=row,
        events=int(catalogue.vocabulary.counts[index]),
        removed=bool((engine.removed == index).any()),
    )


def find_users(engine: Engine, search: str, k: int) -> FoundUsers:
    """Users whose id holds a text.

    Args:
        engine: the engine.
        search: the text; any case.
        k: how many at most.
    """
    vocabulary = engine.funnel.data.user_vocabulary
    found = _matches(vocabulary, [vocabulary.ids], search, k)
    return FoundUsers(vocabulary.decode(found).to_list(), vocabulary.counts[found].tolist())


def history_view(engine: Engine, user: str, past: Past, k: int) -> HistoryView:
    """What the next list for a user follows from.

    Args:
        engine: the engine.
        user: the id.
        past: what the store knows of the user.
        k: how many events at most.
    """
    data = engine.funnel.data
    asked = ask(data, [Asking(user=user)], past)
    history, times = asked.requests.history.values, asked.requests.history_times.values[-k:]
    latest = history[-k:]
    others = torch.unique(asked.seen.values[~torch.isin(asked.seen.values, history)])
    return HistoryView(
        user=user,
        known=int(data.people.encode([user])[0]) > 0 or bool(past.events or past.features),
        items=engine.speaker.ids(latest),
        titles=item_titles(engine.funnel.catalogue, latest).fill_null("").to_list(),
        times=times.tolist(),
        live=(times >= max(data.end, 1)).tolist(),
        events=len(history),
        also_seen=engine.speaker.ids(others[others > 0][:MAX_ITEMS]),
    )


def title_column(catalogue: Catalogue) -> str | None:
    """The column that items are called by, or None where only their ids name them."""
    return next((name for name in TITLE_COLUMNS if name in catalogue.columns), None)


def _matches(vocabulary: Vocabulary, texts: Sequence[pl.Series], search: str, k: int) -> list[int]:
    """Indices of the ids with a text, in their own order, which is that of their counts."""
    if not search:
        return list(range(1, min(k + 1, len(vocabulary))))
    pattern = f"(?i){pl.escape_regex(search)}"
    there = [each.cast(pl.String).str.contains(pattern).fill_null(False) for each in texts]
    found = [int(row) + 1 for row in reduce(or_, there).arg_true().head(k)]
    exact = int(vocabulary.encode([search])[0])
    return [exact, *(index for index in found if index != exact)][:k] if exact else found


def _kind(name: str, dtype: pl.DataType) -> Kind:
    """What a column holds, as far as a reader cares."""
    if name == FIRST_SEEN or dtype.is_temporal():
        return "time"
    if dtype == pl.Boolean:
        return "flag"
    if dtype.is_numeric():
        return "number"
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return "text"
    if isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.String | pl.Categorical | pl.Enum):
        return "tags"
    return "other"
