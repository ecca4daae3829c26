"""Ranking lists in batches: what is kept, what is drawn, and relative scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import parts

from shortlist.data import Id, Ragged
from shortlist.data.candidates import Candidates
from shortlist.data.feature_space import FeatureSpace
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, DataError
from shortlist.models import RankingLists
from shortlist.models.ranking.list_loader import ListLoader, relative_columns


def make_lists(items: list[list[int]], labels: list[list[float]]) -> RankingLists:
    ragged = Ragged.from_lists(items)
    scores = torch.arange(len(ragged.values)).float()
    candidates = Candidates(ragged, scores, torch.ones_like(ragged.values), {"score_a": scores})
    flat = Ragged.from_lists(labels, dtype=torch.float32).values
    return RankingLists(Requests.from_history(Ragged.empty(len(items))), candidates, flat)


LISTS = make_lists(
    [[1, 2, 3, 4, 5], [6, 7], [8, 9, 10, 11], [12]], [[0, 1, 0, 1, 0], [0, 1], [1, 0, 0, 0], [1]]
)


def space() -> FeatureSpace:
    return FeatureSpace.fit(parts()[0], [Id("user_id")], [Id("item_id")])


def loader(lists: RankingLists = LISTS, *, batch_size: int = 2, negatives: int = 2) -> ListLoader:
    return ListLoader(lists, space(), scores=["score_a"], batch_size=batch_size, negatives=negatives, seed=3)


def test_every_wanted_candidate_is_in_every_epoch_and_no_more_negatives_than_asked():
    for epoch in range(4):
        wanted, lengths = [], []
        for batch in loader().epoch(epoch):
            wanted += batch["item_id"][batch["label"] > 0].tolist()
            negatives = batch["row"][batch["label"] == 0]
            lengths += torch.bincount(negatives, minlength=int(batch["row"].max()) + 1).tolist()
        assert sorted(wanted) == [2, 4, 7, 8, 12]
        assert sorted(lengths) == [0, 1, 2, 2]


def test_negatives_and_order_change_with_the_epoch_and_with_nothing_else():
    def epoch(number: int, start: int = 0) -> list[list[int]]:
        return [batch["item_id"].tolist() for batch in loader().epoch(number, start=start)]

    assert epoch(0) == epoch(0)
    assert len({str(epoch(number)) for number in range(6)}) > 1
    assert epoch(1, start=1) == epoch(1)[1:]
    assert len(loader()) == len(epoch(0)) == 2


def test_scores_are_relative_to_the_whole_list_and_not_to_the_draw():
    few, many = loader(negatives=1), loader(negatives=99)
    assert torch.equal(few.relative, many.relative)
    for batch in few.epoch(0):
        places = batch["item_id"] - 1  # the candidates are numbered through
        assert torch.equal(batch["scores"], few.relative[places])


def relative(rows: list[list[float]]) -> torch.Tensor:
    flat = Ragged.from_lists(rows, dtype=torch.float32)
    items = Ragged(torch.ones(len(flat.values), dtype=torch.int64), flat.offsets)
    candidates = Candidates(
        items, flat.values, items.values, {"score_a": flat.values, "score_b": -flat.values}
    )
    columns = relative_columns(candidates, ["score_b", "score_a"])
    assert columns.shape == (len(flat.values), 6)
    return columns[:, 3:]


def slow_relative_scores(row: list[float]) -> list[list[float]]:
    order = sorted(range(len(row)), key=lambda place: (-row[place], place))
    rank = np.empty(len(row))
    rank[order] = np.arange(1, len(row) + 1)
    deviation = np.std(row) + 1e-9 if row else 1
    return [
        [(score - np.mean(row)) / deviation, np.log(place) / 5, 1 / place]
        for score, place in zip(row, rank, strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(-3, 3).map(float), max_size=6), min_size=1, max_size=4),
    st.sampled_from([0, 63, 64, 500]),
    st.integers(0, 99),
)
def test_relative_scores_are_their_slow_reference(rows: list[list[float]], more: int, seed: int):
    drawn = np.random.default_rng(seed).normal(size=more).astype(np.float32)
    rows = [*rows, np.round(drawn, 1).tolist()]
    expected = [each for row in rows for each in slow_relative_scores(row)]
    np.testing.assert_allclose(
        relative(rows).numpy(), np.array(expected).reshape(-1, 3), rtol=1e-5, atol=1e-5
    )


def test_a_score_that_is_not_finite_does_not_spoil_the_others():
    found = relative([[1.0, -torch.inf, 3.0, torch.nan, torch.inf]])
    assert found.isfinite().all()
    assert found[:, 2].tolist() == pytest.approx([1 / 3, 1 / 4, 1 / 2, 1 / 5, 1])


def test_lists_are_taken_filtered_and_joined():
    both = LISTS.take(torch.tensor([2, 0]))
    assert both.candidates.items.to_lists() == [[8, 9, 10, 11], [1, 2, 3, 4, 5]]
    assert both.labels.tolist() == [1, 0, 0, 0, 0, 1, 0, 1, 0]
    joined = RankingLists.concatenate([both, LISTS.take(torch.tensor([3]))])
    assert joined.candidates.items.to_lists() == [[8, 9, 10, 11], [1, 2, 3, 4, 5], [12]]
    unlabelled = make_lists([[1, 2], [3]], [[0, 0], [1]])
    assert unlabelled.labelled().candidates.items.to_lists() == [[3]]


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="do not fit together"):
        RankingLists(LISTS.requests, LISTS.candidates, LISTS.labels[1:])
    with pytest.raises(DataError, match="do not fit together"):
        RankingLists(LISTS.requests.take(torch.tensor([0])), LISTS.candidates, LISTS.labels)


def test_nothing_wanted_is_nothing_to_learn():
    with pytest.raises(DataError, match="nothing to learn"):
        loader(make_lists([[1, 2]], [[0, 0]]))


@pytest.mark.parametrize("sizes", [{"batch_size": 0}, {"negatives": 0}], ids=str)
def test_sizes_below_one_are_refused(sizes: dict[str, int]):
    with pytest.raises(ConfigError, match="at least 1"):
        loader(**sizes)
