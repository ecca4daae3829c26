"""Lookup, gradient and update of the rows of a large embedding table: ours beside PyTorch's sparse gradients.

A table of 10,000,000 rows of 64 float32, Adagrad. A step looks up 8,192 ids, or 8,192 × 20, drawn uniformly
and anew for each, sends a gradient back and updates the rows. The peer is `nn.Embedding(sparse=True)` with
`torch.optim.Adagrad`. Both tables start alike, and after the first step the rows must agree.
Then a dynamic table is compared with a static one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks import dynamic_table
from benchmarks.harness import Figure, interleave, ratio_of_medians
from shortlist.nn import Embedding
from shortlist.training import Adagrad, RowwiseAdagrad

ROWS, QUICK_ROWS, DIM, BATCH = 10_000_000, 1_000_000, 64, 8192
WIDTHS = (1, 20)
THREADS = (2, 1)
TARGET = 4.0
RATE, START, EPS = 0.1, 0.1, 1e-10
Step = Callable[[Tensor, Tensor], None]


def run(*, quick: bool) -> list[Figure]:
    """Both widths, with two threads (the targets' figures) and with one."""
    rows, repeats = (QUICK_ROWS, 5) if quick else (ROWS, 15)
    tables = {"torch": nn.Embedding(rows, DIM, sparse=True), "ours": Embedding(rows, DIM, sparse=True)}
    with torch.no_grad():
        tables["torch"].weight.copy_(tables["ours"].weight)
    tables["ours_rowwise"] = Embedding(rows, DIM, sparse=True)
    steps = {
        "torch": _step(
            tables["torch"],
            torch.optim.Adagrad(
                tables["torch"].parameters(), lr=RATE, initial_accumulator_value=START, eps=EPS
            ),
        ),
        "ours": _step(
            tables["ours"],
            Adagrad(tables["ours"].parameters(), lr=RATE, initial_accumulator_value=START, eps=EPS),
        ),
        "ours_rowwise": _step(
            tables["ours_rowwise"], RowwiseAdagrad(tables["ours_rowwise"].parameters(), lr=RATE)
        ),
    }
    _check_same(tables, steps)
    figures = []
    for threads in THREADS:
        torch.set_num_threads(threads)
        for width in WIDTHS:
            figures += _compare(steps, rows, width, threads, repeats)
    del tables, steps  # the next ones need the memory
    return figures + dynamic_table.compare(rows, threads=THREADS, repeats=repeats)


def _step(table: nn.Embedding, optimizer: torch.optim.Optimizer) -> Step:
    def step(ids: Tensor, gradient: Tensor) -> None:
        table(ids).backward(gradient)
        optimizer.step()
        optimizer.zero_grad()

    return step


def _check_same(tables: dict[str, nn.Embedding], steps: dict[str, Step]) -> None:
    ids = torch.randint(1, 1000, (BATCH,), generator=torch.Generator().manual_seed(1))
    gradient = torch.randn(BATCH, DIM, generator=torch.Generator().manual_seed(2))
    for name in ("torch", "ours"):
        steps[name](ids, gradient)
    rows = [tables[name].weight[ids].detach() for name in ("torch", "ours")]
    torch.testing.assert_close(*rows, rtol=1e-4, atol=1e-5)


def _compare(steps: dict[str, Step], rows: int, width: int, threads: int, repeats: int) -> list[Figure]:
    random = torch.Generator().manual_seed(3)
    shape = (BATCH, width) if width > 1 else (BATCH,)
    gradient = torch.randn(*shape, DIM, generator=random)

    def seconds(step: Step) -> float:
        ids = torch.randint(1, rows, shape, generator=random)
        started = time.perf_counter()
        step(ids, gradient)
        return time.perf_counter() - started

    taken = interleave({name: partial(seconds, step) for name, step in steps.items()}, repeats=repeats)
    suffix = f"_{width}" + ("" if threads == THREADS[0] else f"_{threads}_thread")
    ratio, spread = ratio_of_medians(taken["torch"], taken["ours"])
    target = TARGET if threads == THREADS[0] else None
    figures = [Figure(f"static_vs_torch{suffix}", ratio, target=target, spread=spread)]
    for name, each in taken.items():
        times = [1e3 * one for one in each]
        figures.append(
            Figure(f"{name}{suffix}", statistics.median(times), "ms", spread=(min(times), max(times)))
        )
    return figures
