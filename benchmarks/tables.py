"""Lookup, gradient and update of the rows of a large embedding table, beside PyTorch's and FBGEMM's.

A table of 10,000,000 rows of 64 float32. A step looks up 8,192 ids, or 8,192 × 20, drawn uniformly and anew
for each, sends a gradient back and updates the rows by Adagrad; the peer is `nn.Embedding(sparse=True)` with
`torch.optim.Adagrad`. Both tables start alike, and after the first step the rows must agree.

`bags` are rows looked up and added up: one id each, 20 ids in 8,192 bags, 50 ids in 1,024. The peer is
FBGEMM's table-batched embedding for CPUs, which updates in its backward pass. All weights are alike at the
start, both sides see the same ids and gradients, and some rows of every step are compared.

Last, a dynamic table is compared with a static one.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks import dynamic_table, peers
from benchmarks.harness import Figure, interleave, ratio_of_medians
from shortlist.nn import Embedding
from shortlist.training import Adagrad, RowwiseAdagrad

ROWS, QUICK_ROWS, DIM, BATCH = 10_000_000, 1_000_000, 64, 8192
WIDTHS = (1, 20)
THREADS = (2, 1)
TARGET = 4.0
RATE, START, EPS = 0.1, 0.1, 1e-10
BAGS = ((8192, 1), (8192, 20), (1024, 50))
WEIGHT = 0.01  # of all rows where FBGEMM is the peer
RULES = {"adagrad": Adagrad, "rowwise_adagrad": RowwiseAdagrad}
Step = Callable[[Tensor, Tensor], None]


def run(*, quick: bool) -> list[Figure]:
    """Each comparison with two threads (the targets' figures) and with one; its tables then make room."""
    rows, repeats = (QUICK_ROWS, 5) if quick else (ROWS, 15)
    figures = _beside_torch(rows, repeats)
    for rule in RULES:
        figures += _beside_fbgemm(rule, rows, repeats)
    figures += dynamic_table.compare(rows, threads=THREADS, repeats=repeats)
    return figures if quick else figures + dynamic_table.compare_with_peer(threads=THREADS[0])


def _beside_torch(rows: int, repeats: int) -> list[Figure]:
    tables = {"torch": nn.Embedding(rows, DIM, sparse=True), "ours": Embedding(rows, DIM, sparse=True)}
    with torch.no_grad():
        tables["torch"].weight.copy_(tables["ours"].weight)
    tables["ours_rowwise"] = Embedding(rows, DIM, sparse=True)
    optimizers = {
        "torch": torch.optim.Adagrad(
            tables["torch"].parameters(), lr=RATE, initial_accumulator_value=START, eps=EPS
        ),
        "ours": Adagrad(tables["ours"].parameters(), lr=RATE, initial_accumulator_value=START, eps=EPS),
        "ours_rowwise": RowwiseAdagrad(tables["ours_rowwise"].parameters(), lr=RATE),
    }
    steps = {name: _step(table, optimizers[name]) for name, table in tables.items()}
    _check_same(tables, steps)
    figures = []
    for threads in THREADS:
        torch.set_num_threads(threads)
        for width in WIDTHS:
            figures += _compare(steps, rows, width, threads, repeats)
    return figures


def _step(table: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
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
        return _seconds(step, ids, gradient)

    taken = interleave({name: partial(seconds, step) for name, step in steps.items()}, repeats=repeats)
    suffix = f"_{width}{_of(threads)}"
    ratio, spread = ratio_of_medians(taken["torch"], taken["ours"])
    target = TARGET if threads == THREADS[0] else None
    figures = [Figure(f"static_vs_torch{suffix}", ratio, target=target, spread=spread)]
    return figures + [_milliseconds(f"{name}{suffix}", each) for name, each in taken.items()]


def _beside_fbgemm(rule: str, rows: int, repeats: int) -> list[Figure]:
    table = Embedding(rows, DIM, sparse=True, scale=0.0)
    with torch.no_grad():
        table.weight.fill_(WEIGHT)
    optimizer = RULES[rule](table.parameters(), lr=RATE, initial_accumulator_value=START, eps=EPS)
    figures = []
    with peers.started("fbgemm", "tables_fbgemm.py", rows, DIM, RATE, START, EPS, rule) as ask:
        ask(None)
        for threads in THREADS:
            torch.set_num_threads(threads)
            for bags, length in BAGS:
                race = partial(_race, table, optimizer, ask, rows, bags=bags, length=length)
                taken = race(threads=threads, repeats=repeats)
                suffix = f"_{rule}_{bags}x{length}{_of(threads)}"
                ratio, spread = ratio_of_medians(taken["fbgemm"], taken["ours"])
                target = 1.0 if threads == THREADS[0] else None
                figures.append(Figure(f"static_vs_fbgemm{suffix}", ratio, target=target, spread=spread))
                figures += [_milliseconds(f"{name}_bags{suffix}", each) for name, each in taken.items()]
    return figures


def _race(
    table: Embedding,
    optimizer: torch.optim.Optimizer,
    ask: peers.Ask,
    rows: int,
    *,
    bags: int,
    length: int,
    threads: int,
    repeats: int,
) -> dict[str, list[float]]:
    """The seconds of both, each round on the same ids and gradients; rows must agree after every step."""
    offsets = torch.arange(0, bags * length + 1, length)
    first = 1_000_000 * threads + 1000 * length
    seeds = {"ours": itertools.count(first), "fbgemm": itertools.count(first)}
    found: list[Tensor] = []

    def step(ids: Tensor, gradient: Tensor) -> None:
        pooled = table(ids) if length == 1 else table.pool_sum(ids, offsets)
        pooled.backward(gradient)
        optimizer.step()
        optimizer.zero_grad()

    def ours() -> float:
        random = torch.Generator().manual_seed(next(seeds["ours"]))
        ids = torch.randint(1, rows, (bags * length,), generator=random)
        gradient = torch.randn(bags, DIM, generator=random)
        seconds = _seconds(step, ids, gradient)
        found.append(table.weight.detach()[ids[:8]])
        return seconds

    def fbgemm() -> float:
        answer = ask(f"{threads} {bags} {length} {next(seeds['fbgemm'])}")
        torch.testing.assert_close(torch.tensor(answer["rows"]), found.pop(), rtol=1e-4, atol=1e-5)
        return float(answer["seconds"])

    return interleave({"ours": ours, "fbgemm": fbgemm}, repeats=repeats)


def _seconds(step: Step, ids: Tensor, gradient: Tensor) -> float:
    started = time.perf_counter()
    step(ids, gradient)
    return time.perf_counter() - started


def _of(threads: int) -> str:
    return "" if threads == THREADS[0] else f"_{threads}_thread"


def _milliseconds(name: str, seconds: Sequence[float]) -> Figure:
    times = [1e3 * one for one in seconds]
    return Figure(name, statistics.median(times), "ms", spread=(min(times), max(times)))
