"""A scorer and a task as one model over tables of lists."""

from __future__ import annotations

import pytest
import torch

from shortlist import losses
from shortlist.datasets import RankingTable, RankingTableLoader, read_libsvm
from shortlist.errors import DataError, ShapeError
from shortlist.metrics import ScoredLists
from shortlist.models import ListRanker
from shortlist.nn import AdditiveScorer, AttentionScorer, EnsembleScorer, GroupwiseScorer, UnivariateScorer
from shortlist.tasks import DualLearning, ListwiseRanking


def table(lists: int = 200, *, seed: int = 0, **columns: torch.Tensor) -> RankingTable:
    """Lists of 4 to 12 items; the grade, 0 to 2, falls with the distance of feature 0 from 0."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(4, 13, (lists,), generator=generator)
    features = torch.randn(int(lengths.sum()), 4, generator=generator)
    labels = (2.5 - 2 * features[:, 0].abs()).clamp(0, 2).round()
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    return RankingTable(features, labels, offsets, tuple(map(str, range(lists))), **columns)


SCORERS = {
    "univariate": lambda: UnivariateScorer(4, hidden=(16,)),
    "groupwise": lambda: GroupwiseScorer(4, hidden=(16,)),
    "attention": lambda: AttentionScorer(4, dim=8, hidden=(16,)),
    "additive": lambda: AdditiveScorer(4),
    "ensemble": lambda: EnsembleScorer([UnivariateScorer(4, hidden=(16,)) for _ in range(2)]),
}


@pytest.mark.parametrize("make", SCORERS.values(), ids=SCORERS)
def test_every_scorer_learns_an_order(make):
    torch.manual_seed(0)
    ranker, test = ListRanker(make()), table(seed=1)
    before = ranker.evaluate(test)["ndcg@5"]
    ranker.fit(table(), epochs=12, learning_rate=0.02)
    assert ranker.evaluate(test)["ndcg@5"] > max(0.93, before)


def test_the_learned_curve_is_the_one_that_was_planted():
    torch.manual_seed(0)
    scorer = AdditiveScorer(4)
    ListRanker(scorer).fit(table(), epochs=15, learning_rate=0.02)
    items = table(seed=1).batch()["features"]
    own, *others = scorer.curves(items, points=21)
    peak = float(own.values[own.contributions.argmax()])
    assert abs(peak) < 0.4
    assert own.contributions[0] < -1 > own.contributions[-1]
    heights = [float(curve.contributions.max() - curve.contributions.min()) for curve in (own, *others)]
    assert heights[0] > 3 * max(heights[1:])


def test_each_member_of_an_ensemble_gets_the_loss_of_its_own_scores():
    torch.manual_seed(0)
    ranker, batch = ListRanker(SCORERS["ensemble"]().eval()), table(9).batch()
    expected = [ListwiseRanking()(scores, batch["label"]) for scores in ranker.scorer.each(batch["features"])]
    torch.testing.assert_close(ranker.compute_loss(batch), torch.stack(expected).mean())


def test_the_best_epoch_by_validation_gives_the_weights():
    torch.manual_seed(0)
    ranker, validation = ListRanker(SCORERS["univariate"]()), table(60, seed=2)
    history = ranker.fit(table(), epochs=6, learning_rate=0.3, validation=validation)
    best = max(row["ndcg@10"] for row in history.epochs)
    assert ranker.evaluate(validation)["ndcg@10"] == pytest.approx(best)
    assert history.epochs[history.best_epoch - 1]["ndcg@10"] == best


def test_two_fits_with_one_seed_give_the_same_bits():
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        ranker = ListRanker(GroupwiseScorer(4, dropout=0.2))
        ranker.fit(table(50), epochs=2, seed=1)
        states.append(ranker.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_weights_of_the_table_reach_the_loss():
    plain = table(9)
    total = len(plain.labels)
    weighted = table(9, item_weights=torch.rand(total), list_weights=torch.rand(9))
    torch.manual_seed(0)
    ranker = ListRanker(SCORERS["univariate"]().eval())
    scores = ranker(plain.batch())
    found = losses.softmax(scores, plain.labels, item_weights=weighted.item_weights)
    torch.testing.assert_close(ranker.compute_loss(weighted.batch()), found.list_mean(weighted.list_weights))
    (batch,) = RankingTableLoader(weighted, batch_size=9).epoch(0)
    torch.testing.assert_close(ranker.compute_loss(batch), ranker.compute_loss(weighted.batch()))


def test_lists_that_teach_nothing_change_nothing():
    """Empty lists, single items, labels that are all equal to 0."""
    torch.manual_seed(0)
    ranker, full = ListRanker(SCORERS["attention"]().eval()), table(9)
    more = RankingTable(
        torch.cat([full.features, torch.randn(4, 4)]),
        torch.cat([full.labels, torch.zeros(4)]),
        torch.cat([full.offsets, full.offsets[-1] + torch.tensor([0, 1, 4])]),
        (*full.queries, "empty", "single", "equal"),
    )
    loss, same = ranker.compute_loss(full.batch()), ranker.compute_loss(more.batch())
    torch.testing.assert_close(same, loss)
    assert ranker.evaluate(more) == pytest.approx(ranker.evaluate(full), abs=1e-6)


def test_an_unbiased_task_asks_for_positions():
    with pytest.raises(ShapeError, match="DualLearning corrects for positions, but the table has none"):
        ListRanker(SCORERS["univariate"](), task=DualLearning(12)).compute_loss(table(3).batch())


def test_a_batch_without_lists_is_refused():
    with pytest.raises(ShapeError, match="features are no lists"):
        ListRanker(SCORERS["univariate"]()).compute_loss({"features": torch.zeros(3, 4)})


def test_an_ensemble_learns_mq2008(data_dir):
    train, test = (read_libsvm(data_dir / "letor" / f"MQ2008-S{part}.txt.gz") for part in (1, 2))
    torch.manual_seed(0)
    ranker = ListRanker(EnsembleScorer([UnivariateScorer(46, hidden=(16,)) for _ in range(3)]))
    ranker.fit(train, epochs=8, batch_size=16, learning_rate=0.01)
    found = ScoredLists(ranker.score(test), test.labels).ndcg(k=10).nanmean()
    assert found > 0.62


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("labels", -1.0, "a label is -1"),
        ("labels", torch.nan, "a label is nan"),
        ("features", torch.nan, r"feature 0 of item \d+ is nan"),
        ("item_weights", -0.5, "a item weight is -0.5"),
    ],
)
def test_numbers_out_of_range_are_refused_and_named(column, value, match):
    wrong = table(3, item_weights=torch.ones(len(table(3).labels)))
    getattr(wrong, column).view(len(wrong.labels), -1)[3, 0] = value
    with pytest.raises(DataError, match=match):
        ListRanker(SCORERS["univariate"]()).fit(wrong, epochs=1)
