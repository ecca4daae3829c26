"""Several retrievers merged into one list, sources and scores kept."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from funnel_cases import baselines, retrievers, two_retrievers
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import ITEMS, parts, trained_towers
from reference.fusion import fuse

from shortlist.data import Ragged
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, NotFittedError
from shortlist.funnel.retrieve import Nearest, Popular, retrieve
from shortlist.models import EASE, Recommender


def asking(people: int = 12) -> Requests:
    return parts()[0].requests_of(torch.arange(people))  # the first is somebody unknown


class Fixed(Recommender):
    """Answers the lists that it was given; an item's score is its negative."""

    def __init__(self, lists: list[list[int]]) -> None:
        self.lists, self.data = lists, parts()[0]

    def retrieve(self, requests: Requests, k: int, **rules: Any) -> tuple[torch.Tensor, torch.Tensor]:
        items = Ragged.from_lists(self.lists).to_padded(k)
        return items, torch.where(items > 0, -items.float(), -torch.inf)

    def score(self, requests: Requests, items: torch.Tensor) -> torch.Tensor:
        return -items.float()


LISTS = st.lists(st.integers(1, 9), unique=True, max_size=7)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 3), st.integers(2, 4), st.data())
def test_merged_lists_are_the_slow_reciprocal_rank_fusion(rows: int, ways: int, data: st.DataObject):
    lists = [[data.draw(LISTS) for _ in range(rows)] for _ in range(ways)]
    found = retrieve([Nearest(Fixed(each), 7, f"m{i}") for i, each in enumerate(lists)], asking(rows))
    for row, items in enumerate(found.items.to_lists()):
        assert items == fuse([each[row] for each in lists])
    for item, row, source in zip(
        found.items.values.tolist(), found.row_ids().tolist(), found.sources.tolist(), strict=True
    ):
        assert source == sum(1 << way for way in range(ways) if item in lists[way][row])
    assert torch.equal(found.features["score_m1"], -found.items.values.float())


def test_equal_sums_of_reciprocal_ranks_are_equal_in_any_order():
    lists = [[[1, 8, 7]], [[7, 4, 5, 3]], [[1, 8, 3, 7]], [[3]]]
    found = retrieve([Nearest(Fixed(each), 7, f"m{i}") for i, each in enumerate(lists)], asking(1))
    assert found.items.to_lists() == [[3, 7, 1, 8, 4, 5]]
    assert found.scores[0] == found.scores[1]


def test_every_merged_item_has_the_score_of_every_retriever_whoever_found_it():
    ways, requests = [each.fit(parts()[0]) for each in retrievers()], asking()
    found = retrieve(ways, requests)
    assert set(found.features) == {f"score_{each.name}" for each in ways}
    for each in ways:
        for row, items in enumerate(found.items.to_lists()):
            alone = each.model.score(requests.take(torch.tensor([row])), torch.tensor([items]))
            here = found.features[f"score_{each.name}"][found.row_ids() == row]
            torch.testing.assert_close(here, alone[0], rtol=1e-5, atol=1e-5)


def test_one_retriever_alone_keeps_its_own_scores_and_order():
    model = baselines()["ease"]
    found = retrieve([Nearest(model, 8)], asking())
    items, scores = model.retrieve(asking(), 8)
    assert torch.equal(found.items.to_padded(8), items)
    assert torch.equal(found.scores, scores.flatten())
    assert found.sources.tolist() == [1] * len(found.scores)
    assert list(found.features) == ["score_ease"]


def test_what_is_excluded_or_forbidden_is_found_by_nobody():
    train, _ = parts()
    where = torch.arange(ITEMS + 1) % 3 > 0
    found = retrieve(two_retrievers(), asking(), exclude=train.seen.take(torch.arange(12)), where=where)
    assert where[found.items.values].all()
    for items, seen in zip(found.items.to_lists(), train.seen.to_lists()[:12], strict=True):
        assert not set(items) & set(seen)


def test_at_least_as_many_are_found_as_are_asked_for():
    assert retrieve(two_retrievers(k=3), asking(), at_least=9).lengths.min() >= 9
    assert retrieve([Nearest(baselines()["ease"], 30)], asking(), at_least=9).lengths.tolist() == [30] * 12


def test_where_nothing_is_allowed_the_lists_are_empty():
    found = retrieve(two_retrievers(), asking(), where=torch.zeros(ITEMS + 1, dtype=torch.bool))
    assert found.lengths.tolist() == [0] * 12
    assert found.features["score_ease"].shape == (0,)


def test_a_retriever_is_called_by_its_model_and_popular_counts_for_each_data_anew():
    train, _ = parts()
    earlier, _ = train.split_leave_last_out()
    assert Nearest(trained_towers()).name == "twotower"
    popular = Popular(5)
    one, two = popular.fit(train), popular.fit(earlier)
    assert popular.model.data is None
    assert (one.model.data, two.model.data) == (train, earlier)
    assert one.fit(train) is one


def test_a_model_of_other_data_is_refused():
    train, _ = parts()
    earlier, _ = train.split_leave_last_out(count=2)
    with pytest.raises(ConfigError, match="model of retriever 'ease' was trained on other data"):
        Nearest(EASE().fit(earlier)).fit(train)
    with pytest.raises(NotFittedError, match="EASE is not trained"):
        Nearest(EASE()).fit(train)


@pytest.mark.parametrize("k", [0, -1, 2.5, "10"])
def test_k_is_a_whole_number_from_one(k: Any):
    with pytest.raises(ConfigError, match="k must be"):
        Nearest(baselines()["ease"], k)
    with pytest.raises(ConfigError, match="k must be"):
        Popular(k)
