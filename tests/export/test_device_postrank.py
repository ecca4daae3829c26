"""The post-rankers of a device give the lists that those of the server give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from device_cases import make_case
from hypothesis import given, settings
from hypothesis import strategies as st
from postrank.postrank_cases import Case, cases
from postrank.postrank_cases import make_case as make_lists
from reference import postrank as slow

from shortlist.errors import BundleError
from shortlist.export import Device
from shortlist.export.device.candidates import Candidates
from shortlist.export.device.inputs import Request
from shortlist.export.device.items import Items
from shortlist.export.device.stages import build_postranker
from shortlist.postrank import Boost, Cap, Diversity, Exclude, Freshness, PostRanker, to_dict

KINDS = {
    "genres": "tags",
    "artist": "text",
    "released": "timestamp",
    "margin": "number",
    "clicks": "number",
    "shown": "number",
}
SAME: list[PostRanker] = [
    Diversity(0.4),
    Diversity(1.0),
    Diversity(0.0),
    Diversity(0.4, by="genres"),
    Diversity(0.4, by="artist"),
    Diversity(0.3, method="dpp"),
    Diversity(0.3, method="dpp", by="genres"),
    Freshness("30d", column="released"),
    Freshness("12h", strength=1.0, column="released"),
    Freshness(strength=0.0, column="released"),
    Cap("genres", 2),
    Cap("genres", 1, fill=False),
    Cap("artist", 2),
    Exclude(seen=True),
]
# What an export works out beforehand, since no device speaks SQL: a number for each row.
WITH_TABLE: list[tuple[PostRanker, str]] = [
    (Exclude(items=[101, 105, 999]), "blocked"),
    (Boost(where="artist = 'x'", by=0.5), "is_x"),
    (Boost(where="artist = 'x'", by=0.0), "is_x"),
    (Boost(column="margin", by=-0.4, how="add"), "margin"),
]


def columns_of(case: Case) -> dict[str, list[Any]]:
    return {name: case.catalogue.items[name].to_list()[1:] for name in KINDS}


def table_of(case: Case, name: str) -> np.ndarray:
    """`[rows, 1]` float32."""
    columns = columns_of(case)
    if name == "blocked":
        rows = [False] + [item in (101, 105) for item in case.catalogue.items["item_id"].to_list()[1:]]
    elif name == "is_x":
        rows = [False] + [artist == "x" for artist in columns["artist"]]
    else:
        numbers = [np.nan if each is None else each for each in columns["margin"]]
        low, high = np.nanmin(numbers), np.nanmax(numbers)
        rows = [0.0, *np.nan_to_num((np.array(numbers) - low) / max(high - low, 1e-9))]
    return np.array(rows, np.float32)[:, None]


def rerank_on_device(
    case: Case, row: int, post_ranker: PostRanker, size: int, *, table: str | None = None
) -> Candidates:
    """One request's list after a post-ranker that was built of its settings."""
    settings = to_dict(post_ranker)
    if table is not None:
        settings = {
            name: value for name, value in settings.items() if name not in ("items", "where", "column")
        }
        settings["table"] = table
    tables = {} if table is None else {table: table_of(case, table)}
    ids = case.catalogue.items["item_id"].to_list()[1:]
    items = Items(ids, columns_of(case), KINDS, where="items")
    vectors = case.catalogue.vectors.numpy()
    stage = build_postranker(settings, items, tables, vectors, where="manifest.json")
    pairs = case.pairs[row]
    rows = np.array([item for item, _ in pairs], np.int64)
    scores = np.array([score for _, score in pairs], np.float32)
    history = np.array(case.requests.history.to_lists()[row], np.int64)
    now = int(case.requests.times[row])
    return stage(Candidates(rows, scores), Request(history, np.zeros_like(history), {}, now, size))


def check_same(case: Case, post_ranker: PostRanker, size: int, table: str | None = None) -> None:
    together = case.rerank(post_ranker, size=size)
    for row, wanted in enumerate(together.items.to_lists()):
        found = rerank_on_device(case, row, post_ranker, size, table=table)
        if found.rows.tolist() != wanted:
            assert_tie(case, row, post_ranker, found.rows.tolist(), wanted)
            continue
        scores = together.scores[together.row_ids() == row].numpy()
        np.testing.assert_allclose(found.scores, scores, rtol=1e-5, atol=1e-6)


def assert_tie(case: Case, row: int, post_ranker: PostRanker, found: list[int], wanted: list[int]) -> None:
    """Two lists part where two items are worth the same but for the rounding of their cosines."""
    assert isinstance(post_ranker, Diversity)
    assert (post_ranker.method, post_ranker.by) == ("mmr", None)
    place = next(place for place, pair in enumerate(zip(found, wanted, strict=True)) if len(set(pair)) > 1)
    similar = slow.cosine(case.catalogue.vectors.numpy().astype(float), shifted=False)
    pairs = case.pairs[row]
    relevance = dict(zip([item for item, _ in pairs], slow.unit(pairs), strict=True))

    def gain(item: int) -> float:
        likeness = max((similar(item, other) for other in wanted[:place]), default=0.0)
        return (1 - post_ranker.strength) * relevance[item] - post_ranker.strength * likeness

    assert gain(found[place]) == pytest.approx(gain(wanted[place]), abs=1e-6)


@settings(max_examples=150, deadline=None)
@given(case=cases(), size=st.integers(1, 8), post_ranker=st.sampled_from(SAME))
def test_the_lists_are_those_of_the_server(case, size, post_ranker):
    check_same(case, post_ranker, size)


@settings(max_examples=50, deadline=None)
@given(case=cases(), size=st.integers(1, 8), which=st.sampled_from(WITH_TABLE))
def test_conditions_that_were_worked_out_beforehand_give_the_same_lists(case, size, which):
    check_same(case, which[0], size, which[1])


@pytest.mark.parametrize("post_ranker", SAME, ids=str)
def test_long_lists_of_wide_vectors_are_the_same(post_ranker):
    random = np.random.default_rng(3)
    scores = np.sort(random.normal(size=150))[::-1].tolist()
    columns = {
        "genres": [random.choice(list("abcdefghij"), random.integers(4)).tolist() for _ in range(400)],
        "artist": random.choice(["x", "y", "z"], 400).tolist(),
        "released": random.integers(1, 86_400_000, 400).tolist(),
        **{name: random.integers(0, 9, 400).tolist() for name in ("margin", "clicks", "shown")},
    }
    case = make_lists(
        [(1 + random.permutation(400)[:150]).tolist()],
        [scores],
        num_items=400,
        columns=columns,
        vectors=random.normal(size=(401, 64)),
    )
    check_same(case, post_ranker, 12)


def test_the_stages_follow_one_another(tmp_path):
    strict = ({"kind": "Exclude", "seen": False, "table": "blocked"}, {"kind": "Cap", "column": "year"})
    postrank = (strict[0], {**strict[1], "at_most": 1, "fill": False})
    blocked = np.zeros((41, 1), np.float32)
    blocked[::2] = 1.0
    case = make_case(postrank=postrank, tables={"blocked": blocked})
    answer = Device.load(case.write(tmp_path / "export")).recommend([], k=40)
    years = [each["year"] for each in answer if each["year"] is not None]
    assert years
    assert len(set(years)) == len(years)
    assert all(int(item) % 2 for item in answer.items)


FRESHNESS = {"kind": "Freshness", "half_life": "1d", "strength": 0.5, "column": "released"}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"kind": "Explore", "slots": 1}, "kind is 'Explore'"),
        ({"kind": "Shuffle"}, "kind is 'Shuffle'"),
        ({"kind": "Cap", "column": "genre", "at_most": 2, "fill": True}, "no column 'genre'"),
        ({"kind": "Cap", "column": "genres", "at_most": 0, "fill": True}, "at_most is 0"),
        ({"kind": "Cap", "column": "genres", "at_most": 2}, "fill is None"),
        (
            {"kind": "Freshness", "half_life": "30y", "strength": 0.5, "column": "released"},
            "half_life is '30y'",
        ),
        (
            {"kind": "Freshness", "half_life": "1d", "strength": 0.5, "column": "title"},
            "'title' holds no times",
        ),
        ({"kind": "Freshness", "half_life": "1d", "column": "released"}, "strength is missing"),
        ({"kind": "Diversity", "strength": 1.5, "method": "mmr"}, "strength is 1.5"),
        ({"kind": "Diversity", "strength": 0.5, "method": "best"}, "method is 'best'"),
        ({"kind": "Boost", "by": "much", "how": "add", "table": "popularity"}, "by is 'much'"),
        ({"kind": "Boost", "by": 1, "how": "add", "table": "vectors"}, "its table has 6 numbers an item"),
        ({"kind": "Boost", "by": 1, "how": "add", "table": "nothing"}, "table is 'nothing'"),
        ({"kind": "Exclude", "seen": 1}, "seen is 1"),
    ],
)
def test_settings_that_no_post_ranker_has_are_refused(tmp_path, settings, problem):
    folder = make_case(postrank=(settings,)).write(tmp_path / "export")
    with pytest.raises(BundleError, match=problem) as caught:
        Device.load(folder)
    assert "manifest.json" in str(caught.value)
    assert "export the bundle again" in str(caught.value)


def test_diversity_without_anything_to_compare_by_is_refused(tmp_path):
    settings = {"kind": "Diversity", "strength": 0.5, "method": "mmr"}
    folder = make_case(postrank=(settings,), diversity_table=None).write(tmp_path / "export")
    with pytest.raises(BundleError, match="neither a column nor vectors"):
        Device.load(folder)


def test_an_empty_list_stays_empty():
    case = make_lists([[]], columns={name: [None] * 12 for name in KINDS}, vectors=torch.zeros(13, 2))
    for post_ranker in SAME:
        assert len(rerank_on_device(case, 0, post_ranker, 5)) == 0
