"""The losses give on another device what they give on the CPU, with their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from shortlist import losses
from shortlist.data import Ragged

SEED = 3
LENGTHS = torch.tensor([3, 5, 1, 7, 2])
OF_LISTS = (
    "approx_mrr", "approx_ndcg", "calibrated_softmax", "circle", "coupled_rank_distil", "gumbel_approx_ndcg",
    "list_mle", "list_net", "mean_squared", "neural_sort_cross_entropy", "neural_sort_ndcg", "pairwise_hinge",
    "pairwise_logistic", "pairwise_soft_zero_one", "pairwise_squared", "sigmoid_cross_entropy", "softmax",
    "unique_softmax", "xe_ndcg", "yeti_logistic",
)  # fmt: skip


def differentiated(
    loss: Callable[..., Tensor], inputs: list[Tensor], constants: dict[str, Any], device: torch.device | str
) -> list[Tensor]:
    """The loss and the gradients of its inputs, found on a device, on the CPU."""
    moved = [each.clone().to(device).detach().requires_grad_() for each in inputs]
    torch.manual_seed(SEED)
    value = loss(*moved, **{name: on(value, device) for name, value in constants.items()})
    value.sum().backward()
    return [each.detach().cpu() for each in (value, *(each.grad for each in moved))]


def on(value: Any, device: torch.device | str) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value


def assert_same(loss: Callable[..., Tensor], inputs: list[Tensor], device: torch.device, **constants) -> None:
    there = differentiated(loss, inputs, constants, device)
    torch.testing.assert_close(there, differentiated(loss, inputs, constants, "cpu"), rtol=1e-4, atol=1e-5)


def embeddings(*rows: int) -> list[Tensor]:
    random = torch.Generator().manual_seed(SEED)
    return [torch.randn(each, 8, generator=random) for each in rows]


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("once", [False, True])
def test_the_in_batch_softmax_with_all_its_rules(reduction, once, device) -> None:
    random = torch.Generator().manual_seed(1)
    assert_same(
        losses.in_batch_softmax,
        embeddings(20, 26),
        device,
        temperature=0.5,
        candidate_ids=torch.arange(26) % 9,
        sampling_probability=torch.rand(26, generator=random),
        score_mask=torch.rand(20, 26, generator=random) < 0.8,
        one_embedding_per_id=once,
        reduction=reduction,
    )


def test_the_in_batch_softmax_against_hard_negatives(device) -> None:
    assert_same(losses.in_batch_softmax, embeddings(20, 26), device, num_hard_negatives=4)


def test_the_softmax_over_the_catalogue(device) -> None:
    queries, candidates = embeddings(20, 90)
    assert_same(
        losses.full_softmax,
        [queries, candidates],
        device,
        targets=torch.arange(20) * 4,
        item_bias=torch.linspace(-1, 1, 90),
        reduction="mean",
    )


@pytest.mark.parametrize("name", OF_LISTS)
def test_the_losses_over_lists(name, device) -> None:
    random = torch.Generator().manual_seed(SEED)
    scores, labels = torch.randn(18, generator=random), torch.randint(0, 4, (18,), generator=random).float()

    def loss(scores: Tensor, *, lengths: Tensor, labels: Tensor) -> Tensor:
        return getattr(losses, name)(Ragged.from_lengths(scores, lengths), labels).mean()

    if device.type == "cuda" and name in ("gumbel_approx_ndcg", "yeti_logistic"):
        pytest.skip("a GPU draws other noise than the CPU")
    assert_same(loss, [scores], device, lengths=LENGTHS, labels=labels)
