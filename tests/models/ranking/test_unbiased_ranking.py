"""Clicks with position bias: rankers that correct for it come near to one that saw the grades."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import pytest
import torch

from shortlist.datasets import (
    CascadeClicks,
    PositionBasedClicks,
    RankingTable,
    SimulatedClicks,
    simulate_clicks,
)
from shortlist.losses import harvested_propensities, inverse_propensity_weights, randomised_propensities
from shortlist.models import ListRanker
from shortlist.nn import UnivariateScorer
from shortlist.tasks import AdditiveBias, DualLearning, ListwiseRanking, RegressionEM

SHOWN = 8
USER = PositionBasedClicks.falling(SHOWN, power=1.5)
TRUE = torch.tensor(USER.examination)
WANTED = torch.tensor([1.0, 0.8, 0.0, -0.6, 0.0])  # what makes an item relevant
LOGGED = torch.tensor([0.5, 0.0, 0.5, 0.0, 0.5])  # what the present ranker goes by


@cache
def judged(seed: int = 0) -> RankingTable:
    """200 lists of 12 items with grades from 0 to 4."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2400, 5, generator=generator)
    noise = 0.3 * torch.randn(2400, generator=generator)
    labels = (features @ WANTED + noise).clamp(0, 4).round()
    return RankingTable(features, labels, torch.arange(0, 2401, 12), tuple(map(str, range(200))))


@cache
def clicked(cascade: bool = False) -> SimulatedClicks:
    table, user = judged(), CascadeClicks(satisfaction=0.9, patience=0.6) if cascade else USER
    return simulate_clicks(table, table.features @ LOGGED, user=user, sessions=3000, shown=SHOWN)


def trained(table: RankingTable, task=None) -> ListRanker:
    torch.manual_seed(0)
    ranker = ListRanker(UnivariateScorer(5, hidden=()), task=task)
    ranker.fit(table, epochs=15, batch_size=200, learning_rate=0.05)
    return ranker


def quality(ranker: ListRanker) -> float:
    return ranker.evaluate(judged(seed=1))["ndcg@5"]


@cache
def bounds() -> tuple[float, float]:
    """NDCG@5 of a ranker that believes the clicks, and of one that sees the grades."""
    return quality(trained(clicked().table)), quality(trained(judged()))


def removes_bias(ranker: ListRanker) -> None:
    naive, informed = bounds()
    assert informed - naive > 0.03, "the test shows nothing where clicks are as good as grades"
    assert quality(ranker) > naive + 0.7 * (informed - naive)


# A list counts by the weights of its clicks; if all lists counted alike, weights would cancel.
WEIGHTED = partial(ListwiseRanking, average="comparisons")
TASKS = {
    "dual learning": lambda: DualLearning(SHOWN),
    "regression EM": lambda: RegressionEM(SHOWN),
    "additive bias": lambda: AdditiveBias(SHOWN),
}


@pytest.mark.parametrize("make", TASKS.values(), ids=TASKS)
def test_learning_the_bias_beside_the_ranker_removes_it(make):
    ranker = trained(clicked().table, make())
    removes_bias(ranker)
    torch.testing.assert_close(ranker.task.propensities(), TRUE, rtol=0, atol=0.2)


def test_weights_by_the_true_propensities_remove_the_bias():
    table = clicked().table
    weights = inverse_propensity_weights(table.positions, TRUE)
    removes_bias(trained(replace(table, item_weights=weights), WEIGHTED()))


def test_a_share_of_sessions_at_random_gives_the_propensities_that_remove_the_bias():
    table = judged()
    log = simulate_clicks(
        table, table.features @ LOGGED, user=USER, sessions=3000, shown=SHOWN, randomised=1.0
    ).table
    found = randomised_propensities(log.labels, log.positions)
    torch.testing.assert_close(found, TRUE, rtol=0.25, atol=0.02)
    biased = clicked().table
    weights = inverse_propensity_weights(biased.positions, found)
    removes_bias(trained(replace(biased, item_weights=weights), WEIGHTED()))


def test_items_that_two_rankers_put_elsewhere_give_the_propensities():
    table = judged()
    logs = [
        simulate_clicks(table, table.features @ weights, user=USER, sessions=6000, shown=SHOWN, seed=seed)
        for seed, weights in enumerate((LOGGED, 1 - LOGGED, WANTED))
    ]
    found = harvested_propensities(
        torch.cat([log.table.labels for log in logs]),
        torch.cat([log.table.positions for log in logs]),
        torch.cat([log.documents for log in logs]),
    )
    torch.testing.assert_close(found, TRUE, rtol=0.25, atol=0.02)


def test_a_cascade_is_corrected_too_though_no_position_has_a_chance_of_its_own():
    table = clicked(cascade=True).table
    naive, informed = quality(trained(table)), bounds()[1]
    for task in (DualLearning(SHOWN), AdditiveBias(SHOWN)):
        assert quality(trained(table, task)) > naive + 0.5 * (informed - naive)
