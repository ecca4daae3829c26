"""The in-batch softmax on a GPU, a part of `in_batch_softmax`: rates beside the roofline of the same card.

The roofline (Williams et al. 2009) is measured, not looked up: the rate of a large float32 product, or what a
large copy's bandwidth allows where that is less. What must be moved are queries and candidates, once, and
both gradients, once.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import Figure, interleave, ratio_of_medians

SHAPES = ((4096, 32), (8192, 64), (16384, 128))
PRODUCT_ROWS, COPIED_NUMBERS = 8192, 1 << 28
Loss = Callable[[Tensor, Tensor], Tensor]


def figures(
    forms: dict[str, Loss],
    embeddings: Callable[[int, int], tuple[Tensor, Tensor]],
    *,
    repeats: int,
    device: str = "cuda",
) -> Iterator[Figure]:
    """Times, ratios and the share of the roofline.

    Args:
        forms: `ours` and the plain form as `compile` and `eager`.
        embeddings: makes queries and candidates of a batch and a width.
        repeats: counted rounds.
        device: where to measure.
    """
    product, copy = product_rate(device, PRODUCT_ROWS), copy_rate(device, COPIED_NUMBERS)
    yield Figure("cuda_product_rate", product / 1e9, "GFLOP/s")
    yield Figure("cuda_copy_rate", copy / 1e9, "GB/s")
    for batch, dim in SHAPES:
        queries, candidates = (each.detach().to(device).requires_grad_() for each in embeddings(batch, dim))
        taken = interleave(
            {name: partial(_step_seconds, form, queries, candidates) for name, form in forms.items()},
            repeats=repeats,
        )
        name, mine = f"cuda_fp32_{batch}x{dim}", taken["ours"]
        for peer in ("compile", "eager"):
            ratio, spread = ratio_of_medians(taken[peer], mine)
            yield Figure(f"{name}_vs_{peer}", ratio, spread=spread)
        for who, seconds in taken.items():
            spread = 1e3 * min(seconds), 1e3 * max(seconds)
            yield Figure(f"{name}_{who}", 1e3 * statistics.median(seconds), "ms", spread=spread)
        operations, moved = 6 * batch * batch * dim, 16 * batch * dim
        rate = operations / statistics.median(mine)
        yield Figure(f"{name}_rate", rate / 1e9, "GFLOP/s")
        yield Figure(f"{name}_share_of_roofline", rate / min(product, copy * operations / moved))


def product_rate(device: str, rows: int) -> float:
    """Float32 operations a second of a square product.

    Args:
        device: where to multiply.
        rows: of both matrices.
    """
    left, right = torch.rand(2, rows, rows, device=device)
    return 2 * rows**3 / _best_of_five(lambda: torch.mm(left, right), device)


def copy_rate(device: str, numbers: int) -> float:
    """Bytes a second of a copy, read and written.

    Args:
        device: where to copy.
        numbers: of float32, which should be more than a cache holds.
    """
    source = torch.rand(numbers, device=device)
    target = torch.empty_like(source)
    return 8 * numbers / _best_of_five(lambda: target.copy_(source), device)


def _step_seconds(loss: Loss, queries: Tensor, candidates: Tensor) -> float:
    def step() -> object:
        return torch.autograd.grad(loss(queries, candidates), (queries, candidates))

    return _seconds(step, queries.device.type)


def _best_of_five(work: Callable[[], object], device: str) -> float:
    work()
    return min(_seconds(work, device) for _ in range(5))


def _seconds(work: Callable[[], object], device: str) -> float:
    """What work takes until the device has done it."""
    _wait(device)
    started = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - started


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
