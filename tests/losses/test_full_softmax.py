"""The softmax over the whole catalogue, against a slow reference and the plain form in doubles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference.softmax import full_softmax as slow_softmax
from torch import Tensor
from torch.nn import functional

from shortlist.errors import ConfigError, ShapeError
from shortlist.losses import MASKED_SCORE, full_softmax

EACH_SET = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Case = tuple[Tensor, Tensor, Tensor, dict[str, Any]]


def made(rows: int, count: int, dim: int, seed: int, *, bias: bool = False, mask: bool = False) -> Case:
    random = torch.Generator().manual_seed(seed)
    rules = {
        "temperature": 0.4,
        "item_bias": torch.randn(count, generator=random) if bias else None,
        "score_mask": torch.rand(rows, count, generator=random) < 0.6 if mask else None,
    }
    queries = torch.randn(rows, dim, generator=random) / dim**0.5
    candidates = torch.randn(count, dim, generator=random)
    return queries, candidates, torch.randint(0, count, (rows,), generator=random), rules


@st.composite
def cases(draw: st.DrawFn) -> Case:
    return made(
        draw(st.integers(1, 40)),
        draw(st.integers(1, 90)),
        draw(st.sampled_from([1, 7, 16, 33])),
        draw(st.integers(0, 2**20)),
        bias=draw(st.booleans()),
        mask=draw(st.booleans()),
    )


def plain(queries: Tensor, candidates: Tensor, targets: Tensor, rules: dict[str, Any]) -> Tensor:
    scores = queries @ candidates.T / rules["temperature"]
    if rules["item_bias"] is not None:
        scores = scores + rules["item_bias"]
    if rules["score_mask"] is not None:
        own = functional.one_hot(targets, len(candidates)).bool()
        scores = scores.masked_fill(~(rules["score_mask"] | own), MASKED_SCORE)
    return functional.cross_entropy(scores, targets, reduction="none")


def differentiated(loss: Any, case: Case, dtype: torch.dtype) -> list[Tensor]:
    queries, candidates, targets, rules = case
    leaves = [each.to(dtype, copy=True).requires_grad_() for each in (queries, candidates)]
    rules = dict(rules)
    if rules["item_bias"] is not None:
        rules["item_bias"] = rules["item_bias"].to(dtype, copy=True).requires_grad_()
        leaves.append(rules["item_bias"])
    value = loss(*leaves[:2], targets, rules)
    value.backward()
    return [value.detach(), *(leaf.grad for leaf in leaves)]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        tolerance = 1e-5 * float(other.abs().max()) + 3e-7
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=tolerance)


@EACH_SET
@given(cases())
def test_the_losses_are_those_of_the_slow_reference(case: Case) -> None:
    queries, candidates, targets, rules = case
    lists = {
        name: value.tolist() if name == "item_bias" and value is not None
        else value.numpy() if isinstance(value, Tensor) else value
        for name, value in rules.items()
    }  # fmt: skip
    expected = slow_softmax(queries.double().numpy(), candidates.double().numpy(), targets.tolist(), **lists)
    np.testing.assert_allclose(full_softmax(queries, candidates, targets, **rules), expected, atol=1e-5)


@EACH_SET
@given(case=cases())
def test_loss_and_gradients_the_bias_too_are_those_of_the_plain_form(instructions: str, case: Case) -> None:
    expected = differentiated(lambda *given: plain(*given).mean(), case, torch.float64)
    mean = differentiated(
        lambda q, c, t, rules: full_softmax(q, c, t, **rules, reduction="mean"), case, torch.float32
    )
    each = differentiated(lambda q, c, t, rules: full_softmax(q, c, t, **rules).mean(), case, torch.float32)
    assert_same(mean, expected)
    assert_same(each, expected)


@settings(max_examples=20, deadline=None)
@given(cases())
def test_gradients_in_doubles_are_those_of_small_differences(case: Case) -> None:
    queries, candidates, targets, rules = case
    leaves = [each[:9, :4].double().requires_grad_() for each in (queries, candidates)]
    targets = targets[:9] % min(len(candidates), 9)
    mask = None if rules["score_mask"] is None else rules["score_mask"][:9, :9]
    bias = torch.zeros(len(leaves[1]), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda q, c, b: full_softmax(q, c, targets, item_bias=b, score_mask=mask), (*leaves, bias)
    )


@pytest.mark.parametrize("mask", [False, True])
def test_a_catalogue_beyond_one_part_gives_the_same(instructions: str, mask: bool) -> None:
    case = made(20, 40_000, 9, 3, bias=True, mask=mask)
    assert_same(
        differentiated(
            lambda q, c, t, rules: full_softmax(q, c, t, **rules, reduction="mean"), case, torch.float32
        ),
        differentiated(lambda *given: plain(*given).mean(), case, torch.float64),
    )


def test_weights_of_the_queries_weigh_the_mean() -> None:
    queries, candidates, targets, rules = made(12, 30, 8, 4)
    weight = torch.rand(12)
    mean = full_softmax(queries, candidates, targets, **rules, reduction="mean", sample_weight=weight)
    losses = full_softmax(queries, candidates, targets, **rules)
    torch.testing.assert_close(mean, (losses * weight).sum() / weight.sum())


def test_an_item_of_bias_minus_infinity_is_left_out_and_learns_nothing() -> None:
    queries, candidates, targets, _ = made(12, 20_000, 8, 5)
    targets = targets % 1000 + 19_000
    bias = torch.zeros(20_000)
    bias[:18_000] = -torch.inf  # a whole part of the candidates and some of the next
    candidates.requires_grad_()
    losses = full_softmax(queries, candidates, targets, item_bias=bias)
    losses.sum().backward()
    torch.testing.assert_close(losses, full_softmax(queries, candidates[18_000:], targets - 18_000))
    assert not candidates.grad[:18_000].any()


def test_no_matrix_of_scores_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, candidates, targets, _ = made(300, 50_000, 8, 6)  # the scores would be 60 MB
    candidates.requires_grad_()
    with torch.profiler.profile(profile_memory=True) as profile:
        full_softmax(queries, candidates, targets, reduction="mean").backward()
    largest = max(abs(event.self_cpu_memory_usage) for event in profile.key_averages())
    assert largest <= 4 * candidates.nbytes


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"targets": torch.tensor([0, 5])}, ShapeError, "target 5 is none of the 5 candidates"),
        ({"targets": torch.tensor([-1, 0])}, ShapeError, "target -1"),
        ({"targets": torch.tensor([0.0, 1.0])}, ShapeError, "targets are torch.float32"),
        ({"targets": torch.tensor([0])}, ShapeError, "for 2 queries"),
        ({"queries": torch.zeros(2, 4)}, ShapeError, "do not fit together"),
        ({"item_bias": torch.zeros(4)}, ShapeError, "item_bias is"),
        ({"score_mask": torch.ones(2, 4, dtype=torch.bool)}, ShapeError, "score_mask is"),
        ({"temperature": 0.0}, ConfigError, "temperature"),
        ({"reduction": "sum"}, ConfigError, "reduction is 'sum'"),
        ({"sample_weight": torch.ones(2)}, ConfigError, "sample_weight is given"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], error: type[Exception], text: str) -> None:
    given = {"queries": torch.zeros(2, 3), "candidates": torch.zeros(5, 3), "targets": torch.tensor([0, 4])}
    with pytest.raises(error, match=text):
        full_softmax(**(given | change))
