"""Answers in outside ids, with the item's columns."""

from __future__ import annotations

import polars as pl
import pytest
import torch

import shortlist as sl
from shortlist.data.candidates import Candidates
from shortlist.data.catalogue import Catalogue
from shortlist.data.recommendations import Recommendations
from shortlist.data.vocabulary import Vocabulary

TABLE = pl.DataFrame({"item": [None, 70, 80, 90], "title": [None, "A", "B", None], "score": [None, 1, 2, 3]})
CANDIDATES = Candidates(
    sl.Ragged.from_lists([[2, 1], [], [3]]), torch.tensor([0.5, 0.25, 2.0]), torch.tensor([1, 1, 2])
)


def answers(users: list, why: pl.Series | None = None) -> Recommendations:
    catalogue = Catalogue(TABLE, Vocabulary(pl.Series([70, 80, 90])))
    return Recommendations.from_candidates(
        CANDIDATES, pl.Series("user", users), catalogue, item_id="item", why=why
    )


def test_each_candidate_is_a_row_with_its_rank_and_its_columns():
    given = answers(["ann", "bob", "eve"])
    assert given.frame.rows() == [
        ("ann", 1, 80, 0.5, "B"),
        ("ann", 2, 70, 0.25, "A"),
        ("eve", 1, 90, 2.0, None),
    ]
    assert given.frame.columns == ["user", "rank", "item", "score", "title"]
    assert given.items == [80, 70, 90]
    assert given.scores == [0.5, 0.25, 2.0]
    assert len(given) == 3
    assert [row["title"] for row in given] == ["B", "A", None]
    assert repr(given).startswith("Recommendations(shape: (3, 5)")


def test_reasons_stand_beside_the_items():
    given = answers(["ann", "bob", "eve"], why=pl.Series(["liked", "popular", "new"]))
    assert given.frame["why"].to_list() == ["liked", "popular", "new"]


@pytest.mark.parametrize("users", [[1, 2, 3], ["1", "2", "3"]])
def test_one_users_part_is_found_by_number_or_string(users):
    for user in (3, "3"):
        assert answers(users).of(user).items == [90]
    assert answers(users).of("x").items == []
