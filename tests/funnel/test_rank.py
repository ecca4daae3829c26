"""The ranking stage, and how a ranker learns from what retrievers find."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from funnel_cases import plain, trained_ranker, two_retrievers
from planted import CANDIDATE, QUERY, parts

from shortlist.data import Tags
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, DataError, NotFittedError
from shortlist.funnel import Funnel, rank
from shortlist.funnel.rank import ranking_lists
from shortlist.funnel.retrieve import Nearest, Popular, retrieve
from shortlist.models import EASE, Ranker


def test_the_best_by_the_ranker_go_on_in_its_order():
    train, _ = parts()
    requests = train.requests_of(torch.arange(1, 9))
    found = retrieve(two_retrievers(k=15), requests)
    ranker = trained_ranker().bound_to(train)
    ranked = rank.Scored(ranker, keep=7).rank(requests, found)
    scores = ranker.score_candidates(requests, found)
    assert ranked.lengths.tolist() == [7] * 8
    assert torch.equal(ranked.scores, ranked.features["score_ranker"])
    for row in range(8):
        own = ranked.scores[ranked.row_ids() == row]
        assert torch.equal(own, scores[found.row_ids() == row].sort(descending=True).values[:7])
    assert rank.Scored(ranker, keep=2).rank(requests, found, at_least=5).lengths.tolist() == [5] * 8


def test_lists_are_what_the_retrievers_find_before_each_event_and_hold_its_item():
    train, _ = parts()
    earlier, recent = train.split_leave_last_out(count=2)
    lists = ranking_lists([Nearest(EASE(l2=20).fit(earlier), 40)], recent)
    targets = recent.targets
    assert 0 < len(lists) <= len(targets)
    assert lists.labels.sum() == len(lists)
    for row, items in enumerate(lists.candidates.items.to_lists()):
        assert not set(items) & set(lists.requests.history[row].tolist())


def test_a_ranker_learns_to_mend_a_retriever_that_knows_nothing_of_the_user():
    train, test = parts()
    _, recent = train.split_leave_last_out(count=2)
    # Popularity finds the items, and only the ranker knows users by their history's group.
    ranker = Ranker(QUERY[5:], CANDIDATE[3:4], dim=8, cross_layers=2, dropout=0)
    history = rank.fit(ranker, [Popular(48)], recent, epochs=20, learning_rate=0.02)
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]

    def hits(funnel: Funnel) -> float:
        items, _ = funnel.retrieve(test.requests(test.targets), 5, exclude=test.seen.take(people))
        return float(
            (items == torch.from_numpy(test.item_index[test.targets])[:, None]).any(1).float().mean()
        )

    people = torch.from_numpy(test.person_index[test.targets])
    popular = [Popular(48)]
    assert hits(Funnel(retrieve=popular, data=train)) < 0.4
    assert hits(Funnel(retrieve=popular, rank=rank.Scored(ranker), data=train)) > 0.8


def test_a_part_that_was_not_split_off_is_refused():
    train, _ = parts()
    with pytest.raises(DataError, match="must be the test part of a split"):
        rank.fit(Ranker([], [Tags("colours")]), [Popular()], train)


def test_retrievers_of_other_data_are_refused():
    train, _ = parts()
    _, recent = train.split_leave_last_out(count=2)
    with pytest.raises(ConfigError, match="was trained on other data"):
        rank.fit(Ranker([], [Tags("colours")]), [Nearest(EASE().fit(train))], recent)


class FindsNothing(EASE):
    """Answers empty lists."""

    def retrieve(self, requests: Requests, k: int, **rules: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(len(requests), 1, dtype=torch.int64), torch.full((len(requests), 1), -torch.inf)


def test_retrievers_that_find_nothing_wanted_are_nothing_to_learn_from():
    earlier, recent = parts()[0].split_leave_last_out(count=2)
    with pytest.raises(DataError, match="nothing to learn"):
        rank.fit(Ranker([], [Tags("colours")]), [Nearest(FindsNothing().fit(earlier), 9)], recent)


def test_a_ranker_that_reads_a_score_nobody_gives_is_refused_when_the_funnel_is_made():
    with pytest.raises(ConfigError, match=r"reads 'score_eas'.*did you mean 'score_ease'"):
        plain(rank=rank.Scored(Ranker(scores=["score_eas"])))


def test_a_ranker_that_was_not_trained_is_refused_when_the_funnel_is_made():
    with pytest.raises(NotFittedError, match="Ranker is not trained"):
        plain(rank=rank.Scored(Ranker(scores=["score_ease"])))


@pytest.mark.parametrize("keep", [0, 1.5, "many"])
def test_keep_is_a_whole_number_from_one(keep: Any):
    with pytest.raises(ConfigError, match="keep must be"):
        rank.Scored(trained_ranker(), keep=keep)
