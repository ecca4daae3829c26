"""The native softmax: each instruction set's losses and gradients against the plain form in doubles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from shortlist.errors import ConfigError
from shortlist.losses import in_batch_scores, in_batch_softmax

WIDTHS = [1, 2, 7, 16, 17, 32, 33, 48, 64, 65, 130]
EACH_SET = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@dataclass
class Batch:
    queries: Tensor
    candidates: Tensor
    rules: dict[str, Any]
    weight: Tensor | None = None


def random_batch(rows: int, extra: int, dim: int, seed: int, **kinds: bool) -> Batch:
    """A batch under the rules named."""
    random = torch.Generator().manual_seed(seed)
    total = rows + extra
    made = {
        "candidate_ids": torch.randint(0, max(total // 3, 2), (total,), generator=random),
        "sampling_probability": torch.rand(total, generator=random) * 0.1,
        "score_mask": torch.rand(rows, total, generator=random) < 0.6,
        "weight": torch.randint(0, 3, (rows,), generator=random).float(),
    }
    rules = {name: made[name] if kinds.get(name) else None for name in made}
    weight = rules.pop("weight")
    rules["temperature"] = 0.3
    return Batch(
        torch.randn(rows, dim, generator=random) / dim**0.5,
        torch.randn(total, dim, generator=random),
        rules,
        weight,
    )


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    names = ("candidate_ids", "sampling_probability", "score_mask", "weight")
    return random_batch(
        draw(st.integers(1, 70)),
        draw(st.integers(0, 70)),
        draw(st.sampled_from(WIDTHS)),
        draw(st.integers(0, 2**20)),
        **{name: draw(st.booleans()) for name in names},
    )


def differentiated(batch: Batch, dtype: torch.dtype, loss: Callable[..., Tensor]) -> list[Tensor]:
    """A loss and its gradients, of the queries and of the candidates."""
    leaves = [each.to(dtype, copy=True).requires_grad_() for each in (batch.queries, batch.candidates)]
    value = loss(*leaves)
    value.backward()
    return [value.detach(), *(leaf.grad for leaf in leaves)]


def plain(batch: Batch) -> list[Tensor]:
    """By autograd, in doubles."""

    def loss(queries: Tensor, candidates: Tensor) -> Tensor:
        scores, targets = in_batch_scores(queries, candidates, **batch.rules)
        losses = functional.cross_entropy(scores, targets, reduction="none")
        weight = torch.ones(len(losses)) if batch.weight is None else batch.weight
        return (losses * weight).sum() / weight.sum().clamp(min=1)

    return differentiated(batch, torch.float64, loss)


def fused(batch: Batch, **options: Any) -> list[Tensor]:
    return differentiated(
        batch,
        torch.float32,
        lambda *pair: in_batch_softmax(
            *pair, **batch.rules, reduction="mean", sample_weight=batch.weight, **options
        ),
    )


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        # A score of about 1 is rounded to 1e-7, however small the loss that comes of it.
        tolerance = 1e-5 * float(other.abs().max()) + 3e-7
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=tolerance)


@EACH_SET
@given(batch=batches())
def test_loss_and_gradients_are_those_of_the_plain_form_in_doubles(instructions: str, batch: Batch) -> None:
    assert_same(fused(batch), plain(batch))


@EACH_SET
@given(batch=batches())
def test_losses_one_by_one_give_the_same_gradients_as_their_mean(instructions: str, batch: Batch) -> None:
    def by_hand(*pair: Tensor) -> Tensor:
        losses = in_batch_softmax(*pair, **batch.rules)
        weight = torch.ones(len(losses)) if batch.weight is None else batch.weight
        return (losses * weight).sum() / weight.sum().clamp(min=1)

    assert_same(differentiated(batch, torch.float32, by_hand), fused(batch))


@pytest.mark.parametrize("rows", [5, 50])
def test_more_candidates_than_meet_the_queries_at_once_change_nothing(instructions: str, rows: int) -> None:
    rules = dict.fromkeys(("candidate_ids", "sampling_probability", "score_mask", "weight"), True)
    batch = random_batch(rows, 40_000, 9, 3, **rules)
    batch.rules["candidate_ids"] %= 7  # hits in every part
    assert_same(fused(batch), plain(batch))


def test_candidates_that_repeat_are_scored_once_with_the_same_loss_and_summed_gradients(
    instructions: str,
) -> None:
    batch = random_batch(90, 30, 24, 5, sampling_probability=True)
    ids = torch.randint(0, 40, (120,), generator=torch.Generator().manual_seed(1))
    batch.candidates = batch.candidates[:40][ids]
    batch.rules["sampling_probability"] = batch.rules["sampling_probability"][:40][ids]
    batch.rules["candidate_ids"] = ids
    once, each = fused(batch, one_embedding_per_id=True), plain(batch)
    for result in (once, each):
        result[2] = torch.zeros(40, 24, dtype=result[2].dtype).index_add_(0, ids, result[2])
    assert_same(once, each)


def test_the_same_threads_give_the_same_bits_and_others_nearly_the_same() -> None:
    batch = random_batch(3000, 100, 64, 6, candidate_ids=True, weight=True)  # enough for two threads
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two, again = fused(batch), fused(batch)
        torch.set_num_threads(1)
        one = fused(batch)
    finally:
        torch.set_num_threads(before)
    for first, second in zip(two, again, strict=True):
        assert torch.equal(first, second)
    assert_same(one, [each.double() for each in two])


def test_scores_of_ten_thousand_neither_overflow_nor_lose_the_logarithm(instructions: str) -> None:
    queries = torch.tensor([[1e4], [-1e4]])
    candidates = torch.tensor([[1.0], [1.0]])
    losses = in_batch_softmax(queries, candidates)
    torch.testing.assert_close(losses, torch.full((2,), 2.0).log())
    apart = in_batch_softmax(queries, torch.tensor([[1.0], [-1.0]]))
    assert apart.tolist() == [0.0, 0.0]
    swapped = in_batch_softmax(queries, torch.tensor([[-1.0], [1.0]]))
    assert swapped.tolist() == [2e4, 2e4]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_not_finite_comes_out_as_nan_and_not_as_a_number(
    instructions: str, bad: float, place: int
) -> None:
    batch = random_batch(30, 0, 12, 7)
    (batch.queries if place == 0 else batch.candidates)[4, 2] = bad
    loss, grad_queries, grad_candidates = fused(batch)
    assert loss.isnan()
    assert grad_queries[4].isnan().any()
    assert grad_candidates.isnan().any()


def test_what_weighs_nothing_and_what_is_masked_gets_no_gradient(instructions: str) -> None:
    batch = random_batch(40, 10, 20, 8)
    batch.weight = torch.ones(40)
    batch.weight[7] = 0
    mask = torch.ones(40, 50, dtype=torch.bool)
    mask[:, 45] = False
    batch.rules["score_mask"] = mask
    _, grad_queries, grad_candidates = fused(batch)
    assert not grad_queries[7].any()
    assert not grad_candidates[45].any()
    assert grad_queries[6].all()
    assert grad_candidates[44].all()


def test_weights_that_learn_get_their_gradient() -> None:
    batch = random_batch(20, 0, 6, 9)
    weight = torch.rand(20, requires_grad=True)
    in_batch_softmax(batch.queries, batch.candidates, reduction="mean", sample_weight=weight).backward()
    losses = in_batch_softmax(batch.queries, batch.candidates)
    mean = (losses * weight).sum() / weight.sum()
    torch.testing.assert_close(weight.grad, ((losses - mean) / weight.sum()).detach())


def test_no_gradient_is_computed_that_nobody_wants() -> None:
    batch = random_batch(20, 0, 6, 10)
    with torch.no_grad():
        loss = in_batch_softmax(batch.queries, batch.candidates, reduction="mean")
    assert not loss.requires_grad
    torch.testing.assert_close(loss, in_batch_softmax(batch.queries, batch.candidates).mean())


def test_weights_without_a_mean_are_refused() -> None:
    batch = random_batch(4, 0, 3, 11)
    with pytest.raises(ConfigError, match="sample_weight is given but reduction is 'none'"):
        in_batch_softmax(batch.queries, batch.candidates, sample_weight=torch.ones(4))


def test_a_reduction_that_is_unknown_is_refused() -> None:
    batch = random_batch(4, 0, 3, 12)
    with pytest.raises(ConfigError, match="reduction is 'sum'"):
        in_batch_softmax(batch.queries, batch.candidates, reduction="sum")
