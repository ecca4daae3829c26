"""A step of a dynamic table beside one of a static table with as many rows and the same optimizer.

Part of `python -m benchmarks tables`. The dynamic table's ids are scattered over 64 bits. All of them have
been seen, so that a step looks them up, counts them and steps their rows, as in training that has gone on for
long.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import Figure, interleave, ratio_of_medians
from shortlist.nn import DynamicEmbedding, Embedding
from shortlist.training import Adagrad

DIM, BATCH, FILL = 64, 8192, 1 << 18
WIDTHS = (1, 20)
TARGET = 1.5
ODD = -7046029254386353131  # 2^64 / golden ratio: a multiplication with it scatters row numbers over 64 bits
Step = Callable[[Tensor, Tensor], None]


def compare(rows: int, *, threads: Sequence[int], repeats: int) -> list[Figure]:
    """Both widths; the first number of threads is that of the targets' figures.

    Args:
        rows: of each table.
        threads: numbers of threads to work with.
        repeats: of each measurement.
    """
    torch.set_num_threads(threads[0])
    static, dynamic = Embedding(rows, DIM, sparse=True), DynamicEmbedding(DIM)
    for start in range(0, rows, FILL):
        dynamic(torch.arange(start, min(start + FILL, rows)) * ODD)
    steps = {
        "static": _step(static, Adagrad(static.parameters())),
        "dynamic": _step(dynamic, Adagrad(dynamic.parameters())),
    }
    figures = []
    for count in threads:
        torch.set_num_threads(count)
        suffix = "" if count == threads[0] else f"_{count}_thread"
        for width in WIDTHS:
            figures += _measure(steps, rows, width, repeats, suffix)
    return figures


def _measure(steps: dict[str, Step], rows: int, width: int, repeats: int, suffix: str) -> list[Figure]:
    random = torch.Generator().manual_seed(5)
    shape = (BATCH, width) if width > 1 else (BATCH,)
    gradient = torch.randn(*shape, DIM, generator=random)

    def seconds(name: str) -> float:
        ids = torch.randint(1, rows, shape, generator=random)
        if name == "dynamic":
            ids *= ODD
        started = time.perf_counter()
        steps[name](ids, gradient)
        return time.perf_counter() - started

    taken = interleave({name: partial(seconds, name) for name in steps}, repeats=repeats)
    ratio, spread = ratio_of_medians(taken["dynamic"], taken["static"])
    target = None if suffix else TARGET
    figures = [
        Figure(f"dynamic_vs_static_{width}{suffix}", ratio, target=target, at_least=False, spread=spread)
    ]
    for name, times in taken.items():
        milliseconds = [1e3 * one for one in times]
        least_and_most = (min(milliseconds), max(milliseconds))
        middle = statistics.median(milliseconds)
        figures.append(Figure(f"{name}_{width}{suffix}", middle, "ms", spread=least_and_most))
    return figures


def _step(table: Embedding | DynamicEmbedding, optimizer: torch.optim.Optimizer) -> Step:
    def step(ids: Tensor, gradient: Tensor) -> None:
        table(ids).backward(gradient)
        optimizer.step()
        optimizer.zero_grad()

    return step
