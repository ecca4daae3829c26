"""The task of ranking lists, with the losses and metrics that it is given."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from shortlist import losses
from shortlist.data.ragged import Ragged
from shortlist.datasets import RankingTable, RankingTableLoader, read_libsvm
from shortlist.errors import ConfigError
from shortlist.metrics import ListRankingMetrics, ScoredLists
from shortlist.tasks import ListwiseRanking
from shortlist.training import fit

SCORES = Ragged.from_lists([[1.0, 0.0, 2.0], [0.5, 0.0], [3.0], []], dtype=torch.float32)
LABELS = torch.tensor([1.0, 0, 2, 0, 1, 0])


def test_lists_count_alike_unless_comparisons_should() -> None:
    found = losses.pairwise_logistic(SCORES, LABELS)
    loss = losses.pairwise_logistic
    assert ListwiseRanking(loss=loss)(SCORES, LABELS) == found.values[:2].mean()
    assert ListwiseRanking(loss=loss, average="comparisons")(SCORES, LABELS) == found.mean()


def test_a_weight_of_a_list_is_its_share_of_the_mean() -> None:
    found = losses.softmax(SCORES, LABELS).values
    weighted = ListwiseRanking()(SCORES, LABELS, list_weights=torch.tensor([3.0, 1, 1, 1]))
    assert float(weighted) == pytest.approx(float((3 * found[0] + found[1]) / 4))
    comparisons = ListwiseRanking(average="comparisons")(
        SCORES, LABELS, list_weights=torch.tensor([0.0, 1, 1, 1])
    )
    assert float(comparisons) == pytest.approx(float(found[1]))


def test_metrics_see_the_scores_and_not_the_gradient() -> None:
    metric = ListRankingMetrics(ks=(2,))
    values = SCORES.values.clone().requires_grad_()
    ListwiseRanking(metrics=[metric])(Ragged(values, SCORES.offsets), LABELS).backward()
    expected = ScoredLists(SCORES, LABELS).ndcg(k=2)
    assert metric.compute()["ndcg@2"] == pytest.approx(float(expected.nanmean()))
    assert values.grad is not None


def test_a_batch_that_teaches_nothing_has_a_loss_of_zero() -> None:
    assert ListwiseRanking()(SCORES, torch.zeros(6)).item() == 0
    assert ListwiseRanking()(Ragged.from_lists([], dtype=torch.float32), torch.zeros(0)).item() == 0


def test_a_score_that_is_not_finite_is_left_to_the_training_to_report() -> None:
    values = SCORES.values.clone()
    values[2] = torch.inf
    assert ListwiseRanking()(Ragged(values, SCORES.offsets), LABELS).isnan()


def test_an_unknown_average_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'lists'"):
        ListwiseRanking(average="list")


class Scorer(torch.nn.Module):
    def __init__(self, task: ListwiseRanking, width: int) -> None:
        super().__init__()
        self.task, self.layer = task, torch.nn.Linear(width, 1)

    def forward(self, batch: dict) -> Ragged:
        return Ragged(self.layer(batch["features"].values).squeeze(1), batch["features"].offsets)

    def compute_loss(self, batch: dict) -> torch.Tensor:
        return self.task(self(batch), batch["label"])


@pytest.mark.parametrize(
    "loss", [losses.softmax, partial(losses.pairwise_logistic, lambda_weight=losses.DCGWeight(top_n=10))]
)
def test_a_model_of_ones_own_learns_mq2008(loss, data_dir) -> None:
    train, test = (read_libsvm(data_dir / "letor" / f"MQ2008-S{part}.txt.gz") for part in (1, 2))
    torch.manual_seed(0)
    model = Scorer(ListwiseRanking(loss=loss), 46)
    before, after = ndcg(model, test), 0.0
    fit(model, RankingTableLoader(train, batch_size=16), epochs=8, learning_rate=0.03, progress=False)
    after = ndcg(model, test)
    assert after > max(before, 0.6)


def ndcg(model: Scorer, table: RankingTable) -> float:
    with torch.no_grad():
        return float(ScoredLists(model(table.batch()), table.labels).ndcg(k=10).nanmean())
