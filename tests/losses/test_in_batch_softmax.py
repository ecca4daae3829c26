"""In-batch softmax against a slow reference, under every option at once and one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.softmax import in_batch_softmax as slow_softmax
from torch import Tensor
from torch.nn import functional

from shortlist.errors import ConfigError, ShapeError
from shortlist.losses import MASKED_SCORE, in_batch_scores, in_batch_softmax
from shortlist.losses.retrieval import blocked_softmax


@dataclass
class Batch:
    queries: Tensor
    candidates: Tensor
    rules: dict[str, Any]

    def slow(self) -> Tensor:
        plain = {
            name: value.tolist() if name in ("candidate_ids", "sampling_probability") and value is not None
            else value.numpy() if isinstance(value, Tensor) else value
            for name, value in self.rules.items()
        }  # fmt: skip
        losses = slow_softmax(self.queries.numpy(), self.candidates.numpy(), **plain)
        return torch.tensor(losses, dtype=torch.float64)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    rows, extra = draw(st.integers(1, 6)), draw(st.integers(0, 4))
    heads, seed = draw(st.sampled_from([0, 1, 3])), draw(st.integers(0, 2**20))
    random = torch.Generator().manual_seed(seed)
    shape = (rows, heads, 3) if heads else (rows, 3)
    total = rows + extra

    def maybe(value: Any) -> Any:
        return value if draw(st.booleans()) else None

    rules = {
        "temperature": draw(st.sampled_from([0.05, 0.5, 1.0, 7.0])),
        "candidate_ids": maybe(torch.randint(1, 4, (total,), generator=random)),
        "sampling_probability": maybe(torch.rand(total, generator=random) * 1.2),
        "score_mask": maybe(torch.rand(rows, total, generator=random) < 0.6),
        "num_hard_negatives": maybe(draw(st.integers(1, 12))),
    }
    return Batch(
        torch.randn(shape, generator=random, dtype=torch.float64),
        torch.randn(total, 3, generator=random, dtype=torch.float64),
        rules,
    )


@settings(max_examples=60, deadline=None)
@given(batches())
def test_the_loss_is_the_slow_reference_under_any_mixture_of_options(batch: Batch) -> None:
    losses = in_batch_softmax(batch.queries, batch.candidates, **batch.rules)
    torch.testing.assert_close(losses, batch.slow(), rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(batches())
def test_the_scores_give_the_same_loss(batch: Batch) -> None:
    scores, targets = in_batch_scores(batch.queries, batch.candidates, **batch.rules)
    losses = functional.cross_entropy(scores, targets, reduction="none")
    torch.testing.assert_close(losses, batch.slow(), rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(batches())
def test_gradients_are_those_of_small_differences(batch: Batch) -> None:
    if batch.queries.ndim == 3 or batch.rules["num_hard_negatives"] is not None:
        return  # where the best changes hands there is no gradient to compare
    batch.rules["temperature"] = max(batch.rules["temperature"], 0.5)
    queries, candidates = batch.queries.requires_grad_(), batch.candidates.requires_grad_()
    assert torch.autograd.gradcheck(lambda q, c: in_batch_softmax(q, c, **batch.rules), (queries, candidates))


@settings(max_examples=60, deadline=None)
@given(batches())
def test_the_positive_counts_even_where_ids_and_mask_speak_against_it(batch: Batch) -> None:
    rows, total = len(batch.queries), len(batch.candidates)
    losses = in_batch_softmax(
        batch.queries,
        batch.candidates,
        candidate_ids=torch.zeros(total, dtype=torch.int64),
        score_mask=torch.zeros(rows, total, dtype=torch.bool),
    )
    assert torch.equal(losses, torch.zeros(rows, dtype=torch.float64))  # nothing but the positive is left


@settings(max_examples=60, deadline=None)
@given(batches())
def test_candidates_that_repeat_can_be_scored_once_without_changing_loss_or_gradient(batch: Batch) -> None:
    ids = batch.rules["candidate_ids"]
    if ids is None or batch.queries.ndim == 3:
        return
    own = torch.randn(4, 3, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    weights = torch.arange(1, len(batch.queries) + 1, dtype=torch.float64)
    batch.rules = {**batch.rules, "temperature": max(batch.rules["temperature"], 0.5)}
    for name in ("sampling_probability", "score_mask"):
        if batch.rules[name] is not None:
            first = torch.stack([(ids == each).nonzero()[0, 0] for each in ids])
            batch.rules[name] = batch.rules[name][..., first]
    results = []
    for once in (False, True):
        table, queries = own.clone().requires_grad_(), batch.queries.clone().requires_grad_()
        losses = in_batch_softmax(queries, table[ids], **batch.rules, one_embedding_per_id=once)
        (losses * weights).sum().backward()
        results.append((losses.detach(), queries.grad, table.grad))
    torch.testing.assert_close(results[1], results[0], rtol=1e-9, atol=1e-9)


def embeddings(rows: int, width: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def test_a_constant_factor_of_the_probabilities_cancels() -> None:
    queries, candidates, chance = embeddings(5), embeddings(5, seed=1), torch.rand(5) * 0.1 + 0.01
    once = in_batch_softmax(queries, candidates, sampling_probability=chance)
    thrice = in_batch_softmax(queries, candidates, sampling_probability=3 * chance)
    torch.testing.assert_close(once, thrice)


def test_the_correction_takes_nothing_from_the_gradient_of_the_probabilities() -> None:
    chance = torch.rand(5).requires_grad_()
    in_batch_softmax(
        embeddings(5).requires_grad_(), embeddings(5), sampling_probability=chance
    ).sum().backward()
    assert chance.grad is None


def test_an_accidental_hit_among_further_negatives_is_left_out() -> None:
    queries, candidates = embeddings(2), embeddings(3, seed=1)
    with_hit = in_batch_softmax(queries, candidates, candidate_ids=torch.tensor([7, 8, 7]))
    torch.testing.assert_close(with_hit[0], in_batch_softmax(queries, candidates[:2])[0])
    torch.testing.assert_close(with_hit[1], in_batch_softmax(queries, candidates)[1])


def test_a_masked_negative_gets_no_gradient() -> None:
    candidates = embeddings(3, seed=1).requires_grad_()
    mask = torch.ones(3, 3, dtype=torch.bool)
    mask[:, 2] = False
    in_batch_softmax(embeddings(3), candidates, score_mask=mask)[:2].sum().backward()
    assert torch.equal(candidates.grad[2], torch.zeros(4))
    assert candidates.grad[:2].abs().sum() > 0


def test_more_hard_negatives_than_there_are_is_all_of_them() -> None:
    queries, candidates = embeddings(4), embeddings(6, seed=1)
    torch.testing.assert_close(
        in_batch_softmax(queries, candidates, num_hard_negatives=99), in_batch_softmax(queries, candidates)
    )
    scores, targets = in_batch_scores(queries, candidates, num_hard_negatives=2)
    assert scores.shape == (4, 3)
    assert targets.tolist() == [0] * 4


def test_scores_of_ten_thousand_neither_overflow_nor_lose_the_logarithm() -> None:
    queries = torch.tensor([[100.0], [100.0]])
    candidates = torch.tensor([[100.0], [100.0]])
    losses = in_batch_softmax(queries, candidates)
    torch.testing.assert_close(losses, torch.full((2,), float(np.log(2))))
    far = in_batch_softmax(queries, torch.tensor([[-100.0], [100.0]]))
    torch.testing.assert_close(far, torch.tensor([20_000.0, 0.0]))


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, candidates = embeddings(200).requires_grad_(), embeddings(230, seed=1).requires_grad_()
    rules = {
        "candidate_ids": torch.arange(230) % 50,
        "sampling_probability": torch.rand(230, generator=torch.Generator().manual_seed(2)),
        "score_mask": torch.rand(200, 230, generator=torch.Generator().manual_seed(3)) < 0.9,
    }

    def run() -> tuple[Tensor, ...]:
        losses = in_batch_softmax(queries, candidates, **rules)
        return (losses, *torch.autograd.grad((losses * torch.arange(200)).sum(), (queries, candidates)))

    whole = run()
    monkeypatch.setattr(blocked_softmax, "_CPU_BLOCK_ELEMENTS", 1)
    for ours, theirs in zip(run(), whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_also_under_autocast(dtype: torch.dtype) -> None:
    queries, candidates = embeddings(4).to(dtype), embeddings(4, seed=1).to(dtype)
    expected = in_batch_softmax(queries.float(), candidates.float())
    assert torch.equal(in_batch_softmax(queries, candidates), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(in_batch_softmax(queries, candidates), expected)
        hard = in_batch_softmax(queries, candidates, num_hard_negatives=3)
    torch.testing.assert_close(hard, expected)


def test_what_does_not_count_has_the_masked_score_and_a_product_with_zero_is_no_nan() -> None:
    scores, _ = in_batch_scores(embeddings(2), embeddings(2, seed=1), candidate_ids=torch.tensor([1, 1]))
    assert scores[0, 1] == scores[1, 0] == MASKED_SCORE
    assert torch.equal(scores * 0, torch.zeros(2, 2))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_a_temperature_that_means_nothing_is_refused(temperature: float) -> None:
    with pytest.raises(ConfigError, match="temperature"):
        in_batch_softmax(embeddings(2), embeddings(2), temperature=temperature)


@pytest.mark.parametrize(
    ("queries", "candidates", "rules", "message"),
    [
        ((2, 4), (2, 5), {}, "do not fit together"),
        ((4,), (2, 4), {}, "do not fit together"),
        ((2, 4), (2, 2, 4), {}, "do not fit together"),
        ((3, 4), (2, 4), {}, "fewer candidates than queries"),
        ((2, 4), (2, 4), {"candidate_ids": torch.arange(3)}, "candidate_ids"),
        ((2, 4), (2, 4), {"sampling_probability": torch.ones(2, 1)}, "sampling_probability"),
        ((2, 4), (2, 4), {"score_mask": torch.ones(2, 2)}, "score_mask"),
        ((2, 4), (2, 4), {"score_mask": torch.ones(4, 2, dtype=torch.bool)}, "score_mask"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    queries: tuple[int, ...], candidates: tuple[int, ...], rules: dict[str, Any], message: str
) -> None:
    for function in (in_batch_softmax, in_batch_scores):
        with pytest.raises(ShapeError, match=message):
            function(torch.zeros(queries), torch.zeros(candidates), **rules)
