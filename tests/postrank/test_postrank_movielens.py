from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from shortlist.data.candidates import Candidates
from shortlist.data.catalogue import Catalogue
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.data.vocabulary import Vocabulary
from shortlist.postrank import Cap, Diversity, Exclude, Explore, Freshness

USERS = 30


@pytest.fixture(scope="module")
def movies(data_dir: Path) -> Catalogue:
    folder = data_dir / "ml-100k"
    names = [line.split("|")[0] for line in (folder / "u.genre").read_text().split() if "|" in line]
    rows = [line.split("|") for line in (folder / "u.item").read_text("latin-1").splitlines()]
    table = pl.DataFrame(
        {
            "item_id": [int(row[0]) for row in rows],
            "title": [row[1] for row in rows],
            "release_date": [row[2] or None for row in rows],
            "genres": [[names[place] for place, flag in enumerate(row[5:]) if flag == "1"] for row in rows],
        }
    ).with_columns(pl.col("release_date").str.to_date("%d-%b-%Y"))
    rated = [int(line.split("\t")[1]) for line in (folder / "u.data").read_text().splitlines()]
    vocabulary = Vocabulary.fit(pl.Series(rated), extra=table["item_id"])
    ids = vocabulary.decode(range(len(vocabulary))).rename("item_id").to_frame()
    return Catalogue(ids.join(table, on="item_id", how="left", maintain_order="left"), vocabulary)


@pytest.fixture(scope="module")
def popular(movies: Catalogue) -> tuple[Candidates, Requests]:
    """The 200 most popular films for each of some users who saw a few of them."""
    random = np.random.default_rng(0)
    items = torch.arange(1, 201).repeat(USERS)
    scores = torch.from_numpy(movies.vocabulary.counts)[items].float()
    lists = Ragged.from_lengths(items, torch.full((USERS,), 200))
    history = Ragged.from_lists([random.integers(1, 100, 20).tolist() for _ in range(USERS)])
    untimed = Ragged(torch.zeros_like(history.values), history.offsets)
    now = torch.full((USERS,), 893_286_638)
    requests = Requests(torch.arange(1, USERS + 1), history, untimed, now)
    return Candidates(lists, scores, torch.ones_like(items)), requests


def test_a_whole_chain_on_real_films_keeps_every_promise(movies, popular):
    candidates, requests = popular
    chain = [
        Exclude(seen=True),
        Freshness("1000w", column="release_date"),
        Diversity(0.3, by="genres"),
        Explore(1),
        Cap("genres", 3),
    ]
    for stage in chain:
        candidates = stage.rerank(candidates, size=12, catalogue=movies, requests=requests, seed=0)
    genres = movies.items["genres"].to_list()
    for shown, history in zip(candidates.top(12).items.to_lists(), requests.history.to_lists(), strict=True):
        assert len(set(shown)) == 12
        assert not set(shown) & set(history)
        assert max(Counter(genre for item in shown for genre in genres[item]).values()) <= 3
    assert set(candidates.features) == {"freshness", "diversity_penalty", "explored", "cap_skipped"}


def test_freshness_shows_newer_films_and_diversity_more_genres(movies, popular):
    candidates, requests = popular
    years = movies.items["release_date"].dt.year().to_list()
    genres = movies.items["genres"].to_list()

    def shown(stage):
        result = stage.rerank(candidates, size=12, catalogue=movies, requests=requests, seed=0)
        return result.items[0][:12].tolist()

    plain = candidates.items[0][:12].tolist()
    fresh = shown(Freshness("52w", strength=0.9, column="release_date"))
    assert np.mean([years[item] for item in fresh]) > np.mean([years[item] for item in plain])
    for method in ("mmr", "dpp"):
        diverse = shown(Diversity(0.5, method, "genres"))
        assert len(kinds(genres, diverse)) > len(kinds(genres, plain))


def kinds(genres, items):
    return {genre for item in items for genre in genres[item]}
