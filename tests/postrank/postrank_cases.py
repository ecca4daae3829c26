"""Small catalogues and batches of candidate lists for the tests of post-ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from hypothesis import strategies as st

from shortlist.data.candidates import Candidates
from shortlist.data.catalogue import Catalogue
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.data.vocabulary import Vocabulary
from shortlist.postrank import (
    Boost,
    Cap,
    Diversity,
    Exclude,
    Explore,
    Freshness,
    PostRanker,
)

DAY = 86_400
NOW = 1_000 * DAY


@dataclass(frozen=True)
class Case:
    """A batch of lists, who asks for them, and the items."""

    candidates: Candidates
    requests: Requests
    catalogue: Catalogue

    @property
    def pairs(self) -> list[list[tuple[int, float]]]:
        scores = Ragged(self.candidates.scores, self.candidates.items.offsets).to_lists()
        rows = zip(self.candidates.items.to_lists(), scores, strict=True)
        return [list(zip(items, row, strict=True)) for items, row in rows]

    def rerank(self, post_ranker: PostRanker, *, size: int = 5, seed: int = 0) -> Candidates:
        return post_ranker.rerank(
            self.candidates, size=size, catalogue=self.catalogue, requests=self.requests, seed=seed
        )

    def lists(self, post_ranker: PostRanker, *, size: int = 5, seed: int = 0) -> list[list[int]]:
        return self.rerank(post_ranker, size=size, seed=seed).items.to_lists()

    def row(self, row: int) -> Case:
        """The same request alone."""
        here = self.candidates.row_ids() == row
        alone = self.candidates.take(here.nonzero().flatten(), here.sum()[None])
        return Case(alone, self.requests.take(torch.tensor([row])), self.catalogue)


def make_case(
    lists: list[list[int]],
    scores: list[list[float]] | None = None,
    *,
    columns: dict[str, list[Any]] | None = None,
    num_items: int = 12,
    vectors: Any = None,
    histories: list[list[int]] | None = None,
    users: list[int] | None = None,
    times: list[int] | None = None,
) -> Case:
    """Lists of item indices 1..num_items whose ids are 100 + index; columns are given for items 1.. ."""
    items = pl.DataFrame({"item_id": [None, *range(101, 101 + num_items)]}).with_columns(
        *(
            pl.Series(name, [None, *values], dtype=pl.List(pl.String) if name == "genres" else None)
            for name, values in (columns or {}).items()
        )
    )
    vocabulary = Vocabulary(items["item_id"].drop_nulls(), np.arange(num_items + 1, dtype=np.int64))
    vectors = None if vectors is None else torch.as_tensor(np.asarray(vectors), dtype=torch.float32)
    ragged = Ragged.from_lists(lists)
    descending = [[float(len(row) - place) for place in range(len(row))] for row in lists]
    flat = Ragged.from_lists(scores or descending, dtype=torch.float32).values
    history = Ragged.from_lists(histories or [[] for _ in lists])
    requests = Requests(
        torch.tensor(users or list(range(1, len(lists) + 1)), dtype=torch.int64),
        history,
        Ragged(torch.zeros_like(history.values), history.offsets),
        torch.tensor(times or [NOW] * len(lists), dtype=torch.int64),
    )
    candidates = Candidates(ragged, flat, torch.ones_like(ragged.values), {"found": flat.clone()})
    return Case(candidates, requests, Catalogue(items, vocabulary, vectors=vectors))


def tags_of(case: Case, column: str = "genres") -> list[list[object]]:
    values = case.catalogue.items[column].to_list()
    return [value if isinstance(value, list) else [value] if value is not None else [] for value in values]


NUM_ITEMS = 14
SCORES = st.one_of(
    st.integers(-2, 2).map(float), st.floats(-1e3, 1e3, width=32, allow_nan=False, allow_infinity=False)
)
LISTS = st.lists(
    st.lists(
        st.tuples(st.integers(1, NUM_ITEMS), SCORES), unique_by=lambda pair: pair[0], max_size=NUM_ITEMS
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Ragged batches (some lists empty) with tied scores, and a random catalogue with gaps and copies."""
    lists = [sorted(pairs, key=lambda pair: -pair[1]) for pairs in draw(LISTS)]
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    return make_case(
        [[item for item, _ in pairs] for pairs in lists],
        [[score for _, score in pairs] for pairs in lists],
        num_items=NUM_ITEMS,
        columns=random_columns(random),
        vectors=random_vectors(random),
        histories=[random.integers(1, NUM_ITEMS + 1, random.integers(6)).tolist() for _ in lists],
        users=random.integers(0, 4, len(lists)).tolist(),
        times=random.choice([0, NOW, NOW + DAY], len(lists)).tolist(),
    )


def random_columns(random: np.random.Generator) -> dict[str, list[Any]]:
    def with_gaps(values: list[Any]) -> list[Any]:
        return [
            None if gap else value for gap, value in zip(random.random(NUM_ITEMS) < 0.2, values, strict=True)
        ]

    clicks = random.integers(0, 6, NUM_ITEMS)
    return {
        "genres": with_gaps(
            [random.choice(list("abcd"), random.integers(4)).tolist() for _ in range(NUM_ITEMS)]
        ),
        "artist": with_gaps(random.choice(["x", "y", "z"], NUM_ITEMS).tolist()),
        "released": with_gaps(random.integers(NOW - 90 * DAY, NOW + 5 * DAY, NUM_ITEMS).tolist()),
        "margin": with_gaps(random.integers(0, 5, NUM_ITEMS).tolist()),
        "clicks": clicks.tolist(),
        "shown": (clicks + random.integers(0, 50, NUM_ITEMS)).tolist(),
    }


def random_vectors(random: np.random.Generator) -> np.ndarray:
    vectors = random.normal(size=(NUM_ITEMS + 1, 8))
    copy, original, missing = random.integers(1, NUM_ITEMS + 1, 3)
    vectors[copy] = vectors[original]
    vectors[missing] = 0
    return vectors


POST_RANKERS: list[PostRanker] = [
    Diversity(0.4),
    Diversity(0.4, by="genres"),
    Diversity(0.3, method="dpp"),
    Diversity(0.3, method="dpp", by="genres"),
    Freshness("30d", column="released"),
    Cap("genres", 2),
    Cap("genres", 1, fill=False),
    Cap("artist", 2),
    Exclude(items=[101, 105, 999]),
    Exclude(where="margin >= 3", seen=True),
    Boost(where="artist = 'x'", by=0.5),
    Boost(column="margin", by=-0.4, how="add"),
    Explore(2),
    Explore(2, exposure="shown"),
    Explore(method="epsilon", epsilon=0.4),
    Explore(3, "thompson", successes="clicks", trials="shown"),
]
