"""What a funnel refuses, warns of and calls its stages when it is put together."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from funnel_cases import plain, two_retrievers
from planted import parts

from shortlist.data.candidates import Candidates
from shortlist.errors import ConfigError
from shortlist.funnel import Funnel, OrderUndone
from shortlist.postrank import Boost, Cap, Diversity, Exclude, Explore, Freshness


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"retrieve": []}, "needs a retriever"),
        ({"retrieve": two_retrievers() * 2}, "two retrievers are named 'towers'"),
        ({"size": 0}, "size must be"),
        ({"size": 2.5}, "size must be"),
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        plain(**settings)


@pytest.mark.parametrize("rescoring", [Boost(where="price < 10"), Freshness("30d")])
@pytest.mark.parametrize("reordering", [Diversity(0.2), Explore(1), Cap("group", 2)])
def test_sorting_by_score_after_a_reordering_is_warned_of(rescoring, reordering):
    first, second = type(reordering).__name__, type(rescoring).__name__
    with pytest.warns(
        OrderUndone, match=f"{second} sorts by score and so undoes the order of {first}"
    ) as seen:
        Funnel(retrieve=two_retrievers(), postrank=[reordering, Exclude(seen=True), rescoring])
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain(postrank=[Exclude(seen=True), rescoring, reordering])


class Reverse:
    """A post-ranker of a user's own."""

    def rerank(self, candidates: Candidates, **asked: Any) -> Candidates:
        return candidates.with_scores(-candidates.scores).sorted()


class Final(Reverse):
    """Named like a stage of the funnel's own."""


def test_stages_have_names_of_their_own():
    funnel = plain(postrank=[Reverse(), Exclude(seen=True), Reverse(), Final()])
    assert funnel.stages == ("retrieve", "reverse", "exclude", "reverse 2", "final 2", "final")
    trace = funnel.run(parts()[0].requests_of(torch.tensor([1])))
    assert tuple(name for name, _ in trace.stages) == funnel.stages
    assert trace.final is trace.stages[-1][1]
