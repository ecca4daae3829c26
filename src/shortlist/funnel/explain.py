"""Why an item is there: who found it, what it resembles, and the list after every stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.catalogue import Catalogue
from shortlist.data.ragged import Ragged, gather_windows
from shortlist.data.requests import Requests
from shortlist.data.schema import Schema
from shortlist.funnel.retrieve import Retriever

TITLE_COLUMNS = ("title", "name")  # what reasons call an item by, before its id
EVENTS_COMPARED = 200  # latest events that a reason can name; bounds the memory


@dataclass(frozen=True, eq=False)
class Explanation:
    """One user's way through the funnel.

    Args:
        history: the user's latest events, oldest first.
        stages: for each stage by name, its list: rank, item, score, which retrievers found it, the scores so
            far and the item's columns.
    """

    history: pl.DataFrame
    stages: dict[str, pl.DataFrame]

    def __repr__(self) -> str:
        parts = [f"history: {len(self.history)} events"]
        parts += [f"{name}: {len(frame)} items" for name, frame in self.stages.items()]
        return "Explanation(" + " → ".join(parts) + ")"


def explain_trace(
    stages: Sequence[tuple[str, Candidates]],
    user: pl.Series,
    requests: Requests,
    retrievers: Sequence[Retriever],
    catalogue: Catalogue,
    schema: Schema,
) -> Explanation:
    """Turn what each stage let through into tables.

    Args:
        stages: names and candidates of one request.
        user: the user's id, one row.
        requests: the request.
        retrievers: of the funnel.
        catalogue: the items.
        schema: names the id columns.
    """
    history = catalogue.items[requests.history.values.numpy()]
    tables = {}
    for name, candidates in stages:
        frame = pl.DataFrame(
            {
                "rank": (candidates.items.positions() + 1).numpy(),
                "score": candidates.scores.numpy(),
                "found_by": [", ".join(names) for names in found_by(candidates.sources, retrievers)],
                **{key: column.numpy() for key, column in candidates.features.items()},
            }
        ).hstack(catalogue.items[candidates.items.values.numpy()])
        if name == "final":
            frame = frame.with_columns(reasons(candidates, requests, retrievers, catalogue).alias("why"))
        tables[name] = frame.select(schema.item_id, pl.exclude(schema.item_id))
    return Explanation(history, tables)


def reasons(
    candidates: Candidates, requests: Requests, retrievers: Sequence[Retriever], catalogue: Catalogue
) -> pl.Series:
    """One line for each candidate: the event of the history that it resembles most, and who found it.

    Args:
        candidates: one row a request.
        requests: who asks.
        retrievers: of the funnel.
        catalogue: the items; resemblance is the cosine of their vectors, where it has any.

    Returns:
        `[total]` strings.
    """
    finders = [" and ".join(names) for names in found_by(candidates.sources, retrievers)]
    if catalogue.vectors is None or len(candidates.items.values) == 0:
        return pl.Series("why", [f"found by {names}" for names in finders], dtype=pl.String)
    nearest = most_similar(candidates.items, requests.history, catalogue.vectors)
    titles = item_titles(catalogue, nearest)
    lines = [
        f"found by {names}" if title is None else f"like {title}; found by {names}"
        for title, names in zip(titles, finders, strict=True)
    ]
    return pl.Series("why", lines, dtype=pl.String)


def most_similar(items: Ragged, history: Ragged, vectors: Tensor) -> Tensor:
    """For each item, the event of the same row's latest `EVENTS_COMPARED` with the nearest vector.

    Args:
        items: `[batch]` rows of item indices.
        history: `[batch]` rows of item indices.
        vectors: `[num_items + 1, dim]` float32.

    Returns:
        `[total]` int64 item indices, aligned with `items.values`; 0 where the history is empty.
    """
    lengths = history.lengths.clamp(max=EVENTS_COMPARED)
    recent = gather_windows(history.values, history.offsets[1:] - lengths, lengths)
    past = recent.to_padded(max(int(lengths.max()), 1) if len(lengths) else 1)  # [batch, width]
    wanted = items.to_padded(max(int(items.lengths.max()), 1) if len(items) else 1)  # [batch, longest]
    # Only the rows that are needed: a request must not pay for a pass over the whole catalogue.
    cosines = torch.bmm(_directions(vectors, wanted), _directions(vectors, past).transpose(1, 2))
    best = cosines.masked_fill((past == 0)[:, None], -torch.inf).argmax(2)  # [batch, longest]
    nearest = past.gather(1, best)
    return nearest[items.row_ids(), items.positions()]


def _directions(vectors: Tensor, items: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vectors[items], dim=-1)


def found_by(sources: Tensor, retrievers: Sequence[Retriever]) -> list[list[str]]:
    """The names of the retrievers that found each candidate."""
    return [
        [each.name for bit, each in enumerate(retrievers) if mask >> bit & 1] for mask in sources.tolist()
    ]


def item_titles(catalogue: Catalogue, items: Tensor) -> pl.Series:
    """What to call some items: their titles or names where the table has any, else their ids.

    Args:
        catalogue: the items.
        items: `[n]` int64 item indices.

    Returns:
        `[n]` strings, null for item 0.
    """
    for name in TITLE_COLUMNS:
        if name in catalogue.columns:
            return catalogue.column(name).gather(items.numpy()).cast(pl.String)
    return catalogue.vocabulary.decode(items.numpy()).cast(pl.String)
