"""The softmax with products of 16 bits: how near it stays, and that they are used only where faster."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from shortlist.errors import ConfigError
from shortlist.kernels.softmax import fastest_short_products, softmax_loss
from shortlist.losses import MASKED_SCORE, full_softmax, in_batch_softmax
from shortlist.losses.retrieval.softmax_rules import Rules, rules_of
from shortlist.tasks import Retrieval

WIDTHS = [1, 2, 7, 16, 31, 32, 33, 48, 64, 65, 96, 130]


def unit_vectors(rows: int, dim: int, noise: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Queries, and candidates of which each is near its own query, all of length 1."""
    random = torch.Generator().manual_seed(seed)
    queries, other = (torch.randn(rows, dim, generator=random) for _ in range(2))
    return functional.normalize(queries, dim=1), functional.normalize(queries + noise * other, dim=1)


@pytest.fixture(params=["avx512bf16", "avx512fp16"])
def products(request: pytest.FixtureRequest) -> str:
    """Each kind of products of 16 bits; float32 where the processor lacks it."""
    return str(request.param)


def rounded(queries: Tensor, candidates: Tensor, rules: Rules, products: str, **options: Any) -> list[Tensor]:
    """The mean loss and the gradients."""
    weights = torch.full((len(queries),), 1 / len(queries))
    losses, gradients = softmax_loss(
        queries, candidates, *rules, masked_score=MASKED_SCORE, weights=weights, products=products, **options
    )
    return [losses.mean(), *(each for each in gradients if each is not None)]


def differentiated(loss: Any, *leaves: Tensor) -> list[Tensor]:
    """The same of any loss, in doubles."""
    leaves = tuple(each.double().requires_grad_() for each in leaves)
    value = loss(*leaves)
    value.backward()
    return [value.detach(), *(leaf.grad for leaf in leaves)]


def errors(found: list[Tensor], expected: list[Tensor]) -> list[float]:
    pairs = zip(found, expected, strict=True)
    return [float((one.double() - other).norm() / other.norm()) for one, other in pairs]


def in_batch(rows: int) -> Rules:
    return Rules(torch.arange(rows), None, None, None, None, None, None)


@pytest.mark.parametrize(("rows", "dim"), [(1024, 32), (1024, 64), (700, 128)])
def test_gradients_are_within_half_a_percent_at_a_temperature_of_a_twentieth(
    products: str, rows: int, dim: int
) -> None:
    queries, candidates = unit_vectors(rows, dim, noise=2.0)
    found = rounded(queries / 0.05, candidates, in_batch(rows), products)
    expected = differentiated(lambda q, c: in_batch_softmax(q, c).mean(), queries / 0.05, candidates)
    assert max(errors(found, expected)) <= 5e-3


def test_where_nearly_every_query_knows_its_own_the_small_gradients_are_within_two_percent(
    products: str,
) -> None:
    queries, candidates = unit_vectors(1024, 64, noise=0.5)
    found = rounded(queries / 0.05, candidates, in_batch(1024), products)
    expected = differentiated(lambda q, c: in_batch_softmax(q, c).mean(), queries / 0.05, candidates)
    assert float(expected[0]) < 1e-3
    assert max(errors(found, expected)) <= 2e-2


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 130),
    st.integers(0, 130),
    st.sampled_from(WIDTHS),
    st.integers(0, 2**20),
    st.sampled_from(["keep", "hits", "once"]),
    st.booleans(),
)
def test_any_shape_and_rule_gives_nearly_the_exact_gradients(
    products: str, rows: int, extra: int, dim: int, seed: int, ids: str, mask: bool
) -> None:
    random, total = torch.Generator().manual_seed(seed), rows + extra
    queries = torch.randn(rows, dim, generator=random) / (2 * dim**0.5)
    candidates = torch.randn(total, dim, generator=random)
    given_ids = torch.randint(0, 9, (total,), generator=random)
    bias = torch.randn(total, generator=random)
    if ids == "once":
        candidates, bias = candidates[given_ids % total], bias[given_ids % total]
    score_mask = torch.rand(rows, total, generator=random) < 0.7 if mask and ids != "once" else None
    scored, rules = rules_of(
        rows,
        candidates,
        bias=bias,
        candidate_ids=None if ids == "keep" else given_ids,
        score_mask=score_mask,
        one_embedding_per_id=ids == "once",
    )
    found = rounded(queries, scored, rules, products)
    _, exact = softmax_loss(
        queries, scored, *rules, masked_score=MASKED_SCORE, weights=torch.full((rows,), 1 / rows)
    )
    for one, other in zip(found[1:], exact[:2], strict=True):
        # Of terms of about 1 / rows each, which may cancel.
        assert float((one - other).abs().max()) <= 0.02 * (float(other.abs().max()) + 1 / rows)


def test_a_catalogue_beyond_one_part_and_its_bias_are_near(products: str) -> None:
    random = torch.Generator().manual_seed(1)
    queries, candidates = torch.randn(50, 24, generator=random) / 5, torch.randn(20_000, 24, generator=random)
    bias, targets = torch.randn(20_000, generator=random), torch.randint(0, 20_000, (50,), generator=random)
    own = torch.randn(50, generator=random)
    expected = differentiated(
        lambda q, c, b, o: (
            torch.logsumexp((q @ c.T + b).scatter_add(1, targets[:, None], o[:, None]), 1)
            - (q * c[targets]).sum(1) - b[targets] - o
        ).mean(),
        queries, candidates, bias, own,
    )  # fmt: skip
    rules = Rules(targets, bias, own, None, None, None, None)
    assert max(errors(rounded(queries, candidates, rules, products, learned=(True, True)), expected)) <= 5e-3


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_comes_out_as_nan(products: str, bad: float) -> None:
    queries, candidates = unit_vectors(40, 32, noise=1.0)
    candidates[4, 2] = bad
    assert all(bool(each.isnan().any()) for each in rounded(queries, candidates, in_batch(40), products))


def test_the_setting_takes_the_fastest_and_changes_nothing_without_one(instructions: str) -> None:
    queries, candidates = unit_vectors(64, 32, noise=1.0)
    assert instructions == "avx512" or fastest_short_products() == ""
    loss = in_batch_softmax(queries.requires_grad_(), candidates, reduction="mean", precision="bfloat16")
    loss.backward()
    expected = rounded(queries.detach(), candidates, in_batch(64), fastest_short_products())
    assert torch.equal(loss.detach(), expected[0])
    assert torch.equal(queries.grad, expected[1])


def test_numbers_of_any_size_are_within_a_percent(products: str) -> None:
    # Beyond the range of float16 both ways: the largest and the smallest of it are 65,504 and 6e-8.
    queries, candidates = unit_vectors(300, 32, noise=1.0)
    for scale in (1e-9, 1e6):
        pair = queries * scale, candidates / scale
        expected = differentiated(lambda q, c: in_batch_softmax(q, c).mean(), *pair)
        assert max(errors(rounded(*pair, in_batch(300), products), expected)) <= 1e-2


def test_the_task_passes_its_precision_on() -> None:
    pair = unit_vectors(64, 32, noise=1.0)
    options = {"correct_sampling_bias": False, "remove_accidental_hits": False, "precision": "bfloat16"}
    loss = Retrieval(**options)(*pair)
    assert torch.equal(loss, in_batch_softmax(*pair, temperature=0.2, reduction="mean", precision="bfloat16"))
    targets = torch.arange(64)
    whole = Retrieval(negatives="catalogue", precision="bfloat16")(*pair, targets=targets)
    assert torch.equal(
        whole, full_softmax(*pair, targets, temperature=0.2, reduction="mean", precision="bfloat16")
    )
    assert Retrieval(**options).config()["precision"] == "bfloat16"


def test_a_precision_that_is_unknown_is_refused() -> None:
    with pytest.raises(ConfigError, match="precision is 'float16'"):
        in_batch_softmax(*unit_vectors(4, 3, noise=1.0), precision="float16")
    with pytest.raises(ConfigError, match="precision is 'half'"):
        Retrieval(precision="half")
