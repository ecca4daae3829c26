"""Losses over drawn negatives: softmax against a slow reference, gBCE against its paper."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference.softmax import sampled_softmax as slow_softmax
from torch import Tensor

from shortlist.errors import ConfigError, ShapeError
from shortlist.losses import (
    MASKED_SCORE,
    full_softmax,
    generalised_binary_cross_entropy,
    mixed_probability,
    sampled_scores,
    sampled_softmax,
)

EACH_SET = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Case = tuple[list[Tensor], dict[str, Any]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows, count, dim = draw(st.integers(1, 13)), draw(st.integers(1, 20)), draw(st.sampled_from([1, 5, 17]))
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    shape = (count,) if draw(st.booleans()) else (rows, count)
    embeddings = [torch.randn(*size, dim, generator=random) / dim**0.5 for size in ((rows,), (rows,), shape)]
    rules: dict[str, Any] = {"temperature": draw(st.sampled_from([0.3, 1.0, 4.0]))}
    if draw(st.booleans()):
        rules["positive_ids"] = torch.randint(1, 9, (rows,), generator=random)
        rules["negative_ids"] = torch.randint(1, 9, shape, generator=random)
    if draw(st.booleans()):
        rules["positive_probability"] = torch.rand(rows, generator=random)
        rules["negative_probability"] = torch.rand(shape, generator=random) * 0.1
    if draw(st.booleans()):
        rules["score_mask"] = torch.rand(rows, count, generator=random) < 0.7
    return embeddings, rules


def slow(case: Case) -> list[float]:
    embeddings, rules = case
    lists = {
        name: value.tolist() if name.startswith("positive")
        else value.numpy() if isinstance(value, Tensor) else value
        for name, value in rules.items()
    }  # fmt: skip
    return slow_softmax(*(each.double().numpy() for each in embeddings), **lists)


def gradients(case: Case, dtype: torch.dtype, **options: Any) -> list[Tensor]:
    embeddings, rules = case
    leaves = [each.to(dtype, copy=True).requires_grad_() for each in embeddings]
    sampled_softmax(*leaves, **rules, **options).mean().backward()
    return [leaf.grad for leaf in leaves]


@EACH_SET
@given(case=cases())
def test_the_losses_are_those_of_the_slow_reference(instructions: str, case: Case) -> None:
    embeddings, rules = case
    np.testing.assert_allclose(sampled_softmax(*embeddings, **rules), slow(case), atol=2e-5, rtol=1e-5)


@EACH_SET
@given(case=cases())
def test_gradients_are_those_in_doubles_one_by_one_or_of_the_mean(instructions: str, case: Case) -> None:
    expected = gradients(case, torch.float64)
    for reduction in ("none", "mean"):
        for one, other in zip(gradients(case, torch.float32, reduction=reduction), expected, strict=True):
            tolerance = 1e-5 * float(other.abs().max()) + 3e-7
            torch.testing.assert_close(one.double(), other, rtol=0, atol=tolerance)


@settings(max_examples=10, deadline=None)
@given(cases())
def test_gradients_in_doubles_are_those_of_small_differences(case: Case) -> None:
    embeddings, rules = case
    leaves = [each.double().requires_grad_() for each in embeddings]
    assert torch.autograd.gradcheck(lambda *given: sampled_softmax(*given, **rules), leaves)


@settings(max_examples=30, deadline=None)
@given(cases())
def test_the_scores_of_every_query_are_those_that_the_softmax_normalises(case: Case) -> None:
    embeddings, rules = case
    plain = {name: value for name, value in rules.items() if not name.endswith("probability")}
    positive, negative = sampled_scores(*embeddings, **plain)
    losses = torch.logsumexp(torch.cat([positive[:, None], negative], 1), 1) - positive
    torch.testing.assert_close(losses, sampled_softmax(*embeddings, **plain), rtol=1e-4, atol=1e-5)


def test_all_other_items_as_negatives_are_the_full_softmax() -> None:
    random = torch.Generator().manual_seed(0)
    queries, table = torch.randn(7, 6, generator=random), torch.randn(30, 6, generator=random)
    targets = torch.randint(0, 30, (7,), generator=random)
    losses = sampled_softmax(
        queries, table[targets], table, positive_ids=targets, negative_ids=torch.arange(30)
    )
    torch.testing.assert_close(losses, full_softmax(queries, table, targets))


def test_with_the_correction_popular_draws_estimate_the_softmax_over_all() -> None:
    random = torch.Generator().manual_seed(1)
    queries, table = torch.randn(4, 6, generator=random), torch.randn(50, 6, generator=random)
    chance = torch.arange(1.0, 51)
    chance /= chance.sum()
    drawn = torch.multinomial(chance, 200_000, replacement=True, generator=random)
    targets = torch.tensor([3, 9, 20, 44])
    scores = queries @ table[drawn].T - (chance[drawn] * len(drawn)).log()
    corrected = torch.logsumexp(scores, 1)  # of the drawn alone, an estimate of the whole normaliser
    torch.testing.assert_close(corrected, torch.logsumexp(queries @ table.T, 1), atol=0.02, rtol=0)
    losses = sampled_softmax(
        queries,
        table[targets],
        table[drawn],
        positive_probability=chance[targets],
        negative_probability=chance[drawn],
    )
    own = (queries * table[targets]).sum(1) - (chance[targets] * len(drawn)).log()
    torch.testing.assert_close(losses, torch.logaddexp(corrected, own) - own, rtol=1e-4, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-30, 30),
    st.lists(st.floats(-30, 30), min_size=1, max_size=6),
    st.integers(8, 10_000),
    st.floats(0, 1),
)
def test_gbce_is_the_formula_of_its_paper(
    positive: float, negatives: list[float], num_items: int, calibration: float
) -> None:
    alpha = len(negatives) / (num_items - 1)
    beta = alpha * (calibration * (1 - 1 / alpha) + 1 / alpha)
    log_sigmoid = [
        -math.log1p(math.exp(-positive)) * beta,
        *(-math.log1p(math.exp(each)) for each in negatives),
    ]
    loss = generalised_binary_cross_entropy(
        torch.tensor([positive], dtype=torch.float64),
        torch.tensor([negatives], dtype=torch.float64),
        num_items=num_items,
        calibration=calibration,
    )
    assert float(loss) == pytest.approx(-sum(log_sigmoid) / (len(negatives) + 1), rel=1e-9, abs=1e-12)


def test_gbce_without_calibration_is_plain_binary_cross_entropy() -> None:
    scores = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))
    loss = generalised_binary_cross_entropy(scores[:, 0], scores[:, 1:], num_items=100, calibration=0)
    labels = torch.zeros(5, 4)
    labels[:, 0] = 1
    plain = torch.nn.functional.binary_cross_entropy_with_logits(scores, labels, reduction="none").mean(1)
    torch.testing.assert_close(loss, plain)


def test_gbce_ignores_a_negative_that_does_not_count() -> None:
    negative = torch.tensor([[1.0, MASKED_SCORE]], requires_grad=True)
    loss = generalised_binary_cross_entropy(torch.zeros(1), negative, num_items=9)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert negative.grad[0, 1] == 0
    assert negative.grad[0, 0] > 0


@pytest.mark.parametrize(
    ("change", "text"),
    [({"calibration": 1.5}, "calibration is 1.5"), ({"num_items": 1}, "num_items is 1")],
    ids=str,
)
def test_gbce_refuses_what_means_nothing(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        generalised_binary_cross_entropy(torch.zeros(2), torch.zeros(2, 3), **({"num_items": 9} | change))
    with pytest.raises(ShapeError, match="do not go with"):
        generalised_binary_cross_entropy(torch.zeros(2), torch.zeros(3), num_items=9)


def test_the_mixed_chance_is_that_of_a_draw_from_the_mixture() -> None:
    share = torch.tensor([0.0, 0.7, 0.2, 0.1])
    mixed = mixed_probability(share, batch_size=30, num_uniform=10, num_items=3)
    torch.testing.assert_close(mixed[1:], 0.75 * share[1:] + 0.25 / 3)
    assert float(mixed[1:].sum()) == pytest.approx(1)
    torch.testing.assert_close(mixed_probability(share, batch_size=8, num_uniform=0, num_items=3), share)


GIVEN = {"queries": torch.zeros(2, 3), "positives": torch.zeros(2, 3), "negatives": torch.zeros(5, 3)}


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"positives": torch.zeros(3, 3)}, ShapeError, "do not fit together"),
        ({"negatives": torch.zeros(3, 5, 3)}, ShapeError, "do not fit together"),
        ({"negatives": torch.zeros(5, 4)}, ShapeError, "widths differ"),
        ({"positive_ids": torch.tensor([1, 2])}, ConfigError, "negative_ids is missing"),
        ({"negative_probability": torch.ones(5)}, ConfigError, "positive_probability is missing"),
        (
            {"positive_ids": torch.tensor([1, 2]), "negative_ids": torch.zeros(4)},
            ShapeError,
            "negative_ids is",
        ),
        ({"score_mask": torch.ones(2, 4, dtype=torch.bool)}, ShapeError, "score_mask is"),
        ({"temperature": -1.0}, ConfigError, "temperature"),
        ({"sample_weight": torch.ones(2)}, ConfigError, "sample_weight is given"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        sampled_softmax(**(GIVEN | change))
