"""Every loss that TensorFlow Ranking 0.5.5 recorded, with its options, weights and gradients, against ours.

A test goes through all recordings of one loss. Where theirs is at fault, what they got wrong is undone before
the comparison, or the recording is left out; each such case is named here and ours is shown to be right in
tests/losses.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from ranking_goldens import GoldenLists, RankingGoldens, difference, load
from torch import Tensor

from shortlist import losses
from shortlist.data.ragged import Ragged
from shortlist.losses import DCGWeight, LabelDifferenceWeight, ListLosses, PrecisionWeight

DCG = partial(DCGWeight, gain=losses.linear_gain, discount=losses.reciprocal_discount, normalized=False)
LAMBDA_WEIGHTS: dict[str, Any] = {
    "LabelDiff": LabelDifferenceWeight(),
    "DCG": DCG(),
    "DCG_top10": DCG(top_n=10),
    "DCG_norm": DCG(normalized=True),
    "DCG_smooth.25": DCG(smooth_fraction=0.25),
    "DCG_top5_norm_smooth.5": DCG(top_n=5, normalized=True, smooth_fraction=0.5),
    "NDCG": DCGWeight(),
    "NDCG_top10": DCGWeight(top_n=10),
    "NDCG_smooth.5": DCGWeight(smooth_fraction=0.5),
    "NDCGV2": DCGWeight(correct_top_n=True),
    "NDCGV2_top10": DCGWeight(top_n=10, correct_top_n=True),
    "YetiDCG": DCGWeight(normalized=False, correct_top_n=True, neighbours=True),
    "YetiDCG_top10": DCGWeight(top_n=10, normalized=False, correct_top_n=True, neighbours=True),
    "YetiDCG_norm": DCGWeight(correct_top_n=True, neighbours=True),
    "Precision_top5": PrecisionWeight(5),
}
# Positions weigh 1 / ln(1 + rank) there.
LIST_MLE_DISCOUNTS = {"ListMLE_log": lambda ranks: 1 / torch.log1p(ranks)}


class Case(NamedTuple):
    loss: Callable[..., ListLosses]
    per: str  # what their mean divides by: "item" or "list"
    scores: str = "scores"
    options: dict[str, str] = {}  # noqa: RUF012 - read only
    lambdas: tuple[str, ...] = ()  # the weights that theirs does not ignore


PAIR_LAMBDAS = tuple(LAMBDA_WEIGHTS)
SOFTMAX_LAMBDAS = tuple(
    name for name in LAMBDA_WEIGHTS if "DCG" in name and "V2" not in name and "Yeti" not in name
)
CASES = {
    "PairwiseHingeLoss": Case(losses.pairwise_hinge, "item", lambdas=PAIR_LAMBDAS),
    "PairwiseLogisticLoss": Case(losses.pairwise_logistic, "item", lambdas=PAIR_LAMBDAS),
    "PairwiseSoftZeroOneLoss": Case(losses.pairwise_soft_zero_one, "item", lambdas=PAIR_LAMBDAS),
    "PairwiseMSELoss": Case(losses.pairwise_squared, "item", lambdas=PAIR_LAMBDAS),
    "YetiLogisticLoss": Case(losses.yeti_logistic, "item", lambdas=PAIR_LAMBDAS),
    "SoftmaxLoss": Case(losses.softmax, "list", lambdas=SOFTMAX_LAMBDAS),
    "CalibratedSoftmaxLoss": Case(losses.calibrated_softmax, "list", lambdas=SOFTMAX_LAMBDAS),
    "UniqueSoftmaxLoss": Case(losses.unique_softmax, "list"),
    "ListMLELoss": Case(losses.list_mle, "list"),
    "ApproxNDCGLoss": Case(losses.approx_ndcg, "list"),
    "ApproxMRRLoss": Case(losses.approx_mrr, "list"),
    "GumbelApproxNDCGLoss": Case(losses.gumbel_approx_ndcg, "list"),
    "ClickEMLoss": Case(
        losses.click_em,
        "item",
        "scores2",
        {"exam_loss_weight": "examination_weight", "rel_loss_weight": "relevance_weight"},
    ),
    "MixtureEMLoss": Case(losses.mixture_em, "list", "scores3"),
    "SigmoidCrossEntropyLoss": Case(losses.sigmoid_cross_entropy, "item"),
    "MeanSquaredLoss": Case(losses.mean_squared, "item"),
    "OrdinalLoss": Case(losses.ordinal, "item", "scores4", {"use_fraction_label": "fractions"}),
    "CoupledRankDistilLoss": Case(losses.coupled_rank_distil, "list", options={"topk": "top_k"}),
    "CircleLoss": Case(losses.circle, "list"),
    "PolyOneSoftmaxLoss": Case(
        partial(losses.softmax, poly_epsilon=1.0), "list", options={"epsilon": "poly_epsilon"}
    ),
    "NeuralSortCrossEntropyLoss": Case(losses.neural_sort_cross_entropy, "list"),
    "NeuralSortNDCGLoss": Case(losses.neural_sort_ndcg, "list"),
    "MultiClassLoss": Case(losses.multi_class, "item", "scores5"),
}
SAMPLED = ("YetiLogisticLoss", "GumbelApproxNDCGLoss", "CoupledRankDistilLoss")
IGNORED_OPTIONS = ("seed", "num_classes", "from_logits", "ordinal_size", "lambda_weight")


@pytest.fixture(scope="module")
def goldens(goldens_dir: Path) -> RankingGoldens:
    return load(goldens_dir)


@pytest.mark.parametrize("cls", sorted(CASES))
def test_every_recording_of_a_loss_is_matched(cls: str, goldens: RankingGoldens) -> None:
    checked, wrong = 0, []
    for kind in ("loss", "impl"):
        for name, entry in goldens.of(kind, cls):
            if entry["labels"] != "distinct" and cls == "ListMLELoss":
                continue  # theirs draws the order of equal labels
            if cls == "CircleLoss" and "reduction" in entry:
                continue  # theirs is NaN: infinity times 0, or 0 pairs
            worst = compare(goldens, name, entry, cls)
            checked += 1
            if worst > 1:
                wrong.append(f"{name}: {worst:.3g}")
    assert checked
    assert not wrong, "\n".join(wrong)


def compare(goldens: RankingGoldens, name: str, entry: dict[str, Any], cls: str) -> float:
    lists, theirs = GoldenLists(goldens, entry), goldens.arrays[name]
    scores = lists.flat(CASES[cls].scores).clone().requires_grad_()
    found = run(lists, cls, scores)
    if "reduction" not in entry:
        # What a list that weighs nothing is worth is nobody's business.
        counted = (found.weights > 0) & (theirs.isfinite() | (cls != "CircleLoss"))
        weights_wanted = entry.get("value", "").endswith("weights")
        ours = found.weights if weights_wanted else found.values + excess(lists, cls)
        return difference(ours[counted], theirs[counted])
    weights = torch.ones_like(found.weights) if counts_all(lists, cls) else found.weights
    totals = found.values * found.weights * factor(lists, cls) + weights * excess(lists, cls)
    if entry["reduction"] == "NONE":
        return difference(totals, by_list(theirs, len(lists.lengths)))
    total = totals.sum() / divisor(lists, cls)
    worst = difference(total, theirs)
    if f"{name}#grad" in goldens.arrays:
        (gradient,) = torch.autograd.grad(total, scores)
        worst = max(worst, difference(gradient, goldens.arrays[f"{name}#grad"][lists.valid]))
    return worst


def run(lists: GoldenLists, cls: str, scores: Tensor) -> ListLosses:
    case, entry = CASES[cls], lists.entry
    options: dict[str, Any] = {
        case.options.get(key, key): value
        for key, value in entry["kwargs"].items()
        if key not in IGNORED_OPTIONS
    }
    if cls == "MixtureEMLoss":
        options.pop("temperature", None)  # theirs forgets it
    if cls.startswith("Approx") and entry.get("value"):
        options["temperature"] = 1.0  # there, what answers by list forgets it
    weight = entry["kwargs"].get("lambda_weight")
    if weight in case.lambdas:
        options["lambda_weight"] = LAMBDA_WEIGHTS[weight]
    if weight in LIST_MLE_DISCOUNTS and cls == "ListMLELoss":
        options["discount"] = LIST_MLE_DISCOUNTS[weight]
    if cls in SAMPLED:
        options["noise"] = lists.noise()
    if entry["scores"].startswith("sigmoid"):
        scores = scores.sigmoid()
    return case.loss(lists.ragged(scores), lists.labels, **options, **lists.weights())


def counts_all(lists: GoldenLists, cls: str) -> bool:
    """Whether theirs counts a list without a label too."""
    return cls in ("ListMLELoss", "UniqueSoftmaxLoss") and not lists.weights()


def by_list(theirs: Tensor, lists: int) -> Tensor:
    """Sums over the items; and the mean over the draws, which follow the list."""
    parts = theirs.reshape(lists, -1)
    return parts.sum(dim=1) / (8 if len(theirs) > lists else 1)


def factor(lists: GoldenLists, cls: str) -> Tensor:
    """Theirs multiplies DCG's weights by the padded width, ours by the list's length."""
    weight = lists.entry["kwargs"].get("lambda_weight", "YetiDCG" if cls == "YetiLogisticLoss" else "none")
    if CASES[cls].per == "item" and "DCG" in weight:
        return lists.width / lists.lengths.clamp(min=1)
    return torch.ones(len(lists.lengths))


def excess(lists: GoldenLists, cls: str) -> Tensor:
    """What padding adds to theirs: the likelihood of an order of the padding itself."""
    if cls not in ("ListMLELoss", "CoupledRankDistilLoss"):
        return torch.zeros(len(lists.lengths))
    options = lists.entry["kwargs"]
    places = torch.arange(lists.width)
    discount = LIST_MLE_DISCOUNTS.get(options.get("lambda_weight", ""), torch.ones_like)
    worth = discount(places + 1.0) * (places < options.get("topk", lists.width))
    rivals = lists.width - places if cls == "ListMLELoss" else torch.full_like(places, lists.width)
    return (worth * (places >= lists.lengths[:, None]) * torch.log(rivals)).sum(dim=1)


def divisor(lists: GoldenLists, cls: str) -> float:
    reduction, count = lists.entry["reduction"], len(lists.lengths)
    samples = 8 if cls in ("YetiLogisticLoss", "GumbelApproxNDCGLoss") else 1
    if reduction == "SUM":
        return 1 / samples
    per_item = CASES[cls].per == "item"
    if reduction == "AUTO":
        return count * (lists.width if per_item else 1)
    # The number of items, pairs or lists whose weight is not 0.
    each = lists.labels.split(lists.lengths.tolist())
    if not per_item:
        return count if counts_all(lists, cls) else sum(float(labels.sum()) > 0 for labels in each)
    if cls == "PairwiseMSELoss":
        return sum(len(labels) * (len(labels) - 1) for labels in each)
    if cls.startswith("Pairwise"):
        return sum(int((labels[:, None] > labels).sum()) for labels in each)
    return len(lists.labels)


def test_no_recording_of_a_loss_is_left_out(goldens: RankingGoldens) -> None:
    recorded = {name.split("/")[1] for name in goldens.entries if not name.startswith("metric/")}
    assert recorded == set(CASES)


def test_what_fails_there_are_weights_without_the_setting_that_they_need(goldens: RankingGoldens) -> None:
    assert len(goldens.errors) == 44
    for name in goldens.errors:
        assert name.split("/")[2] in ("lw:Precision", "lw:ListMLE", "lw:ListMLE_log")


# --- where theirs is wrong -------------------------------------------------------------------------------


def test_no_padding_outranks_low_scores() -> None:
    scores, labels = torch.tensor([-50.0, -49.0, 1.0, 2.0, 3.0]), torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0])
    lists = Ragged.from_lengths(scores, torch.tensor([2, 3]))
    for loss in (losses.softmax, losses.list_mle):
        assert float(loss(lists, labels).values[0]) == pytest.approx(1.3132617, rel=1e-6)


def test_a_longer_list_in_the_batch_changes_no_mean_and_no_lambda_weight() -> None:
    scores, labels = torch.tensor([0.6, 0.8, *[0.0] * 5]), torch.tensor([1.0, 0.0, *[0.0] * 5])
    alone = Ragged.from_lengths(scores[:2], torch.tensor([2]))
    beside = Ragged.from_lengths(scores, torch.tensor([2, 5]))
    for loss in (
        losses.pairwise_logistic,
        losses.sigmoid_cross_entropy,
        partial(losses.pairwise_logistic, lambda_weight=DCGWeight()),
    ):
        first, second = loss(alone, labels[:2]), loss(beside, labels)
        torch.testing.assert_close(first.values[0], second.values[0])
        torch.testing.assert_close(first.weights[0], second.weights[0])


def test_a_long_list_of_wide_scores_has_a_finite_likelihood() -> None:
    scores = Ragged.from_lengths(torch.linspace(-500, 500, 300), torch.tensor([300]))
    found = losses.list_mle(scores, torch.arange(300).flip(0))
    assert bool(found.values.isfinite())


def test_a_list_without_an_ordered_pair_has_no_circle_loss() -> None:
    scores = Ragged.from_lengths(torch.tensor([0.2, 0.9]), torch.tensor([2]))
    found = losses.circle(scores, torch.ones(2))
    assert (found.values.item(), found.weights.item()) == (0, 0)
