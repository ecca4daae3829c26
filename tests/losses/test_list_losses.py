"""Losses over lists of different lengths, against one list at a time in double precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ranking_losses as slow
from torch import Tensor

from shortlist import losses
from shortlist.data import list_blocks as blocks
from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.losses import DCGWeight, LabelDifferenceWeight, PrecisionWeight

Rows = list[list[tuple[float, int]]]
ITEM = st.tuples(st.floats(-5, 5, width=32), st.integers(0, 4))
ROWS = st.lists(st.lists(ITEM, max_size=7), min_size=1, max_size=6)


def one_of_each(row: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """Scores a little apart, so that no rank or kink depends on the last bit."""
    return [(score + 0.013 * place, label) for place, (score, label) in enumerate(row)]


def batch(rows: Rows) -> tuple[Ragged, Tensor]:
    scores = Ragged.from_lists([[score for score, _ in row] for row in rows], dtype=torch.float64)
    labels = torch.tensor([float(label) for row in rows for _, label in row])
    return scores, labels


def whole(
    loss: Callable[..., Tensor], **options: Any
) -> Callable[[Tensor, list[float]], tuple[Tensor, float]]:
    """A loss that takes the list as a whole weighs 1, and nothing without a label."""

    def both(scores: Tensor, labels: list[float]) -> tuple[Tensor, float]:
        return (loss(scores, labels, **options), 1.0) if sum(labels) else (scores.sum() * 0, 0.0)

    return both


def pairwise(loss: Callable[..., Tensor], **options: Any) -> Callable[..., tuple[Tensor, float]]:
    return lambda scores, labels: slow.pairs(scores, labels, loss, lambda i, j: 1.0, **options)


def lambda_loss(top_n: int | None) -> Callable[..., tuple[Tensor, float]]:
    return lambda scores, labels: slow.pairs(
        scores, labels, slow.logistic, slow.ndcg_weight(scores, labels, top_n)
    )


def mean_over_items(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., tuple[Tensor, float]]:
    def both(scores: Tensor, labels: list[float]) -> tuple[Tensor, float]:
        return loss(scores, torch.tensor(labels, dtype=torch.float64)).sum(), float(len(labels))

    return both


def reciprocal(rank: int) -> float:
    return 1 / rank


REFERENCES: dict[str, tuple[Callable[..., Any], Callable[..., tuple[Tensor, float]]]] = {
    "logistic": (losses.pairwise_logistic, pairwise(slow.logistic)),
    "hinge": (losses.pairwise_hinge, pairwise(slow.hinge)),
    "soft zero-one": (losses.pairwise_soft_zero_one, pairwise(slow.soft_zero_one)),
    "pairs squared": (losses.pairwise_squared, pairwise(slow.squared, equal=True)),
    "LambdaLoss": (partial(losses.pairwise_logistic, lambda_weight=DCGWeight()), lambda_loss(None)),
    "LambdaLoss at 3": (partial(losses.pairwise_logistic, lambda_weight=DCGWeight(top_n=3)), lambda_loss(3)),
    "softmax": (losses.softmax, slow.softmax),
    "ListNet": (losses.list_net, whole(slow.list_net)),
    "unique softmax": (losses.unique_softmax, whole(slow.unique_softmax)),
    "ListMLE": (losses.list_mle, whole(slow.list_mle, discount=lambda rank: 1.0)),
    "position-aware ListMLE": (
        partial(losses.list_mle, discount=losses.reciprocal_discount),
        whole(slow.list_mle, discount=reciprocal),
    ),
    "ApproxNDCG": (losses.approx_ndcg, whole(slow.approx_ndcg, temperature=0.1)),
    "ApproxMRR": (
        partial(losses.approx_mrr, temperature=0.5),
        whole(slow.approx_mrr, temperature=0.5),
    ),
    "NeuralSort": (losses.neural_sort_cross_entropy, whole(slow.neural_sort_cross_entropy)),
    "PiRank": (losses.neural_sort_ndcg, whole(slow.neural_sort_ndcg)),
    "sigmoid cross-entropy": (
        losses.sigmoid_cross_entropy,
        mean_over_items(lambda s, y: torch.logaddexp(torch.zeros_like(s), s) - s * y),
    ),
    "squared": (losses.mean_squared, mean_over_items(lambda s, y: (s - y) ** 2)),
}


@pytest.mark.parametrize("name", REFERENCES)
@settings(max_examples=15, deadline=None)
@given(rows=ROWS)
def test_a_batch_is_each_list_by_itself(name: str, rows: Rows) -> None:
    loss, reference = REFERENCES[name]
    rows = [one_of_each(row) for row in rows]
    scores, labels = batch(rows)
    values = scores.values.clone().requires_grad_()
    found = loss(Ragged(values, scores.offsets), labels)
    gradients = [torch.zeros(0, dtype=torch.float64)]
    for number, row in enumerate(rows):
        own = torch.tensor([score for score, _ in row], dtype=torch.float64, requires_grad=True)
        total, weight = reference(own, [float(label) for _, label in row]) if row else (own.sum(), 0.0)
        assert float(found.weights[number]) == pytest.approx(weight, rel=1e-6, abs=1e-9)
        wanted = float(total) / weight if weight else 0.0
        assert float(found.values[number]) == pytest.approx(wanted, rel=1e-6, abs=1e-9)
        gradients.append(
            torch.autograd.grad(total / (weight or 1.0), own, allow_unused=True)[0] * (weight > 0)
        )
    (gradient,) = torch.autograd.grad(found.values.sum(), values)
    torch.testing.assert_close(gradient, torch.cat(gradients), rtol=1e-6, atol=1e-9)


CIRCLE_ROWS = st.lists(st.lists(st.tuples(st.floats(0.01, 0.99), st.integers(0, 4)), max_size=6), min_size=1)


@settings(max_examples=15, deadline=None)
@given(CIRCLE_ROWS.filter(lambda rows: any(rows)))
def test_the_circle_loss_is_its_formula_and_nothing_without_an_ordered_pair(rows: Rows) -> None:
    scores, labels = batch(rows)
    values = scores.values.clone().requires_grad_()
    found = losses.circle(Ragged(values, scores.offsets), labels, gamma=8, margin=0.2)
    gradients = [torch.zeros(0, dtype=torch.float64)]
    for number, row in enumerate(rows):
        own = torch.tensor([score for score, _ in row], dtype=torch.float64, requires_grad=True)
        wanted = slow.circle(own, [float(label) for _, label in row], 8, 0.2)
        assert float(found.values[number]) == pytest.approx(float(wanted), abs=1e-9)
        assert bool(found.weights[number]) == (len({label for _, label in row}) > 1)
        gradients.append(torch.autograd.grad(wanted, own)[0])
    torch.testing.assert_close(torch.autograd.grad(found.values.sum(), values)[0], torch.cat(gradients))


EVERY: dict[str, Callable[..., Any]] = {
    **{name: loss for name, (loss, _) in REFERENCES.items()},
    "circle": losses.circle,
    "Poly-1": partial(losses.softmax, poly_epsilon=1.0),
    "softmax of DCG": partial(losses.softmax, lambda_weight=DCGWeight()),
    "calibrated softmax": partial(losses.calibrated_softmax, virtual_label=0.5),
    "LambdaRank": partial(losses.pairwise_logistic, lambda_weight=DCGWeight(smooth_fraction=1.0)),
    "LambdaLoss@2": partial(losses.pairwise_hinge, lambda_weight=DCGWeight(top_n=2, correct_top_n=True)),
    "label difference": partial(losses.pairwise_logistic, lambda_weight=LabelDifferenceWeight()),
    "precision": partial(losses.pairwise_logistic, lambda_weight=PrecisionWeight(2)),
}
SAMPLED: dict[str, Callable[..., Any]] = {
    "Gumbel ApproxNDCG": losses.gumbel_approx_ndcg,
    "Yeti": losses.yeti_logistic,
    "RankDistil": losses.coupled_rank_distil,
}


@pytest.mark.parametrize("name", [*EVERY, *SAMPLED])
def test_neither_the_batch_nor_its_cut_into_blocks_changes_a_number(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(5)
    lengths = torch.tensor([3, 0, 1, 9, 4, 4, 2, 30, 7])
    total = int(lengths.sum())
    values = 3 * torch.randn(total, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 5, (total,), generator=generator)
    noise = torch.randn(2, total, generator=generator, dtype=torch.float64)
    weights = torch.rand(total, generator=generator, dtype=torch.float64)
    scores = Ragged.from_lengths(values, lengths)

    def run(lists: Ragged, rows: slice, size: int) -> losses.ListLosses:
        monkeypatch.setattr(blocks, "CPU_BLOCK", size)
        options = {"noise": noise[:, rows]} if name in SAMPLED else {}
        return (EVERY | SAMPLED)[name](lists, labels[rows], item_weights=weights[rows], **options)

    together = run(scores, slice(None), 1 << 18)
    cut = run(scores, slice(None), 40)
    for number in range(len(scores)):
        rows = slice(int(scores.offsets[number]), int(scores.offsets[number + 1]))
        alone = run(Ragged.from_lengths(values[rows], lengths[number, None]), rows, 1 << 18)
        for part in ("values", "weights"):
            wanted = getattr(alone, part)[0]
            torch.testing.assert_close(getattr(together, part)[number], wanted, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(getattr(cut, part)[number], wanted, rtol=1e-9, atol=1e-12)


SHIFTED = [
    name for name in EVERY if name not in ("squared", "sigmoid cross-entropy", "calibrated softmax", "circle")
]


@pytest.mark.parametrize("name", SHIFTED)
def test_a_constant_added_to_a_lists_scores_changes_nothing(name: str) -> None:
    scores, labels = batch([[(0.5, 2), (-1.0, 0), (2.5, 1)], [(1.0, 1), (0.25, 4)]])
    moved = Ragged(scores.values + torch.tensor([100.0, 100, 100, -7, -7]), scores.offsets)
    torch.testing.assert_close(EVERY[name](moved, labels).values, EVERY[name](scores, labels).values)


ODD_LISTS: Rows = [
    [(1e4, 0), (-1e4, 3), (0.0, 1)],
    [(-1e4, 4), (1e4, 4), (3.0, 4)],
    [(1e4, 2)],
    [(0.0, 0), (0.0, 0)],
    [(7.0, 1), (7.0, 1), (7.0, 0)],
    [],
]
# These look at items whatever their labels.
LEVELS = ("squared", "sigmoid cross-entropy", "pairs squared", "calibrated softmax")


@pytest.mark.parametrize("name", EVERY)
def test_odd_lists_have_finite_losses_and_gradients(name: str) -> None:
    scores, labels = batch([*ODD_LISTS, [(0.5, 1), (0.0, 0)]])
    values = scores.values.float().requires_grad_()
    found = EVERY[name](Ragged(values, scores.offsets), labels)
    found.mean().backward()
    assert bool(found.values.isfinite().all())
    assert bool(values.grad.isfinite().all())
    without_label = slice(int(scores.offsets[3]), int(scores.offsets[4]))
    assert name in LEVELS or not values.grad[without_label].any()


def test_equal_labels_teach_pairs_nothing() -> None:
    scores, labels = batch([[(1.0, 2), (3.0, 2)], [(0.0, 0), (5.0, 1)]])
    found = losses.pairwise_logistic(scores, labels)
    assert found.weights.tolist() == [0, 1]
    assert found.list_mean() == found.mean() == found.values[1]


def test_lists_count_alike_or_by_what_they_compare() -> None:
    scores, labels = batch([[(1.0, 1), (0.0, 0), (0.0, 0), (0.0, 0)], [(0.0, 0), (5.0, 1)]])
    found = losses.pairwise_logistic(scores, labels)
    assert found.weights.tolist() == [3, 1]
    assert float(found.mean()) == pytest.approx(float((3 * found.values[0] + found.values[1]) / 4))
    assert float(found.list_mean()) == pytest.approx(float(found.values.mean()))
    assert float(found.list_mean(torch.tensor([0.0, 2.0]))) == pytest.approx(float(found.values[1]))
    assert float(found.total()) == pytest.approx(float(3 * found.values[0] + found.values[1]))


def test_ties_of_labels_are_broken_by_score_or_by_the_generator() -> None:
    scores, labels = batch([[(0.0, 1), (2.0, 1), (1.0, 1)]])
    likeliest = losses.list_mle(scores, labels).values
    assert torch.equal(likeliest, losses.list_mle(scores, labels).values)
    drawn = {
        round(float(losses.list_mle(scores, labels, generator=torch.Generator().manual_seed(seed)).values), 6)
        for seed in range(30)
    }
    assert len(drawn) == 6
    assert min(drawn) == pytest.approx(float(likeliest), abs=1e-5)


def test_draws_follow_the_generator_and_their_own_noise() -> None:
    scores, labels = batch([[(0.0, 1), (2.0, 0), (1.0, 3)], [(0.0, 1), (1.0, 0)]])
    for loss in SAMPLED.values():
        first, second, third = (
            loss(scores, labels, generator=torch.Generator().manual_seed(seed)).values for seed in (1, 1, 2)
        )
        assert torch.equal(first, second)
        assert not torch.equal(first, third)
    quiet = losses.gumbel_approx_ndcg(scores, labels, noise=torch.zeros(3, 5))
    torch.testing.assert_close(quiet.values, losses.approx_ndcg(scores, labels).values)


def test_xe_ndcg_without_its_draws_is_a_softmax_of_powers_of_two() -> None:
    scores, labels = batch([[(0.0, 1), (2.0, 0), (1.0, 3)], [(0.0, 0), (1.0, 0)]])
    found = losses.xe_ndcg(scores, labels, noise=torch.zeros(5))
    powers = losses.softmax(scores, torch.exp2(labels))
    torch.testing.assert_close(found.values[0], powers.values[0])
    assert found.weights.tolist() == [1, 0]


def test_a_huge_label_does_not_overflow_ndcg() -> None:
    scores, labels = batch([[(0.0, 999), (2.0, 998), (1.0, 0)]])
    for loss in (losses.approx_ndcg, losses.neural_sort_ndcg, EVERY["LambdaLoss"]):
        assert bool(loss(scores, labels).values.isfinite().all())


MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"labels": torch.tensor([1.0, -1.0, 0.0])}, DataError, "a label is -1"),
    ({"labels": torch.tensor([1.0, torch.nan, 0.0])}, DataError, "a label is nan"),
    ({"labels": torch.tensor([1.0, torch.inf, 0.0])}, DataError, "a label is inf"),
    ({"labels": torch.ones(2)}, ShapeError, "for 3 items"),
    ({"labels": torch.ones(3, 1)}, ShapeError, "for 3 items"),
    ({"item_weights": torch.ones(2)}, ShapeError, "one item weight for each item"),
    ({"item_weights": torch.tensor([1.0, -2.0, 1.0])}, DataError, "an? item weight is -2"),
    ({"list_weights": torch.ones(3)}, ShapeError, "for 2 lists"),
    ({"temperature": 0.0}, ConfigError, "temperature is 0"),
    ({"scores": torch.tensor([1.0, torch.nan, 0.0])}, DataError, "a score is not a finite number"),
    ({"scores": torch.ones(3, 1)}, ShapeError, "squeeze"),
]


@pytest.mark.parametrize(("change", "error", "message"), MISTAKES)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"scores": torch.zeros(3), "labels": torch.tensor([1.0, 0.0, 2.0])} | change
    scores = Ragged(arguments.pop("scores"), torch.tensor([0, 2, 3]))
    for loss in (losses.softmax, losses.pairwise_logistic, losses.approx_ndcg):
        with pytest.raises(error, match=message):
            loss(scores, **arguments)


def test_settings_out_of_range_are_refused() -> None:
    scores, labels = batch([[(0.0, 65), (1.0, 0)]])
    with pytest.raises(ConfigError, match="top_n is 0"):
        DCGWeight(top_n=0)
    with pytest.raises(ConfigError, match="smooth_fraction is 2"):
        DCGWeight(smooth_fraction=2)
    with pytest.raises(ConfigError, match="do not go with"):
        DCGWeight(smooth_fraction=0.5, correct_top_n=True)
    with pytest.raises(ConfigError, match="top_n is -1"):
        PrecisionWeight(-1)
    with pytest.raises(ConfigError, match="samples is 0"):
        losses.yeti_logistic(scores, labels, samples=0)
    with pytest.raises(ConfigError, match="gumbel_temperature"):
        losses.gumbel_approx_ndcg(scores, labels, gumbel_temperature=-1)
    with pytest.raises(ConfigError, match="top_k is 0"):
        losses.coupled_rank_distil(scores, labels, top_k=0)
    with pytest.raises(ConfigError, match="gamma is 0"):
        losses.circle(scores, labels, gamma=0)
    with pytest.raises(ShapeError, match="noise is"):
        losses.yeti_logistic(scores, labels, noise=torch.zeros(2))
    with pytest.raises(ShapeError, match="one draw an item"):
        losses.xe_ndcg(scores, labels, noise=torch.zeros(3))
    with pytest.raises(DataError, match="scale the labels"):
        losses.unique_softmax(scores, labels)
    with pytest.raises(DataError, match="classes"):
        losses.multi_class(Ragged(torch.zeros(2, 5), scores.offsets), labels)
    with pytest.raises(ShapeError, match=r"takes \[total, 2\]"):
        losses.click_em(Ragged(torch.zeros(2, 3), scores.offsets), labels)
