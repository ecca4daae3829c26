"""A step of a dynamic table beside one of a static table with as many rows and the same optimizer.

Part of `python -m benchmarks tables`. The dynamic table's ids are scattered over 64 bits. Both tables have
stepped every row once, so that their memory is there and a step looks the ids up, counts them and steps their
rows, as in training that has gone on for long. A full run also takes the same steps with a table of
TensorFlow Recommenders Addons of fewer rows, whose Adagrad takes several times the memory.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import peers
from benchmarks.harness import Figure, interleave, ratio_of_medians
from shortlist.nn import DynamicEmbedding, Embedding
from shortlist.training import Adagrad

DIM, BATCH, FILL = 64, 8192, 1 << 18
WIDTHS = (1, 20)
TARGET, PEER_TARGET = 1.5, 2.0
PEER_ROWS, PEER_REPEATS = 2_000_000, 7
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
    static, dynamic = Embedding(rows, DIM, sparse=True), _filled(rows)
    steps = {
        "static": _step(static, Adagrad(static.parameters())),
        "dynamic": _step(dynamic, Adagrad(dynamic.parameters())),
    }
    _step_all(steps["static"], rows, scale=1)
    _step_all(steps["dynamic"], rows, scale=ODD)
    figures = []
    for count in threads:
        torch.set_num_threads(count)
        suffix = "" if count == threads[0] else f"_{count}_thread"
        for width in WIDTHS:
            figures += _measure(steps, rows, width, repeats, suffix)
    return figures


def compare_with_peer(*, threads: int) -> list[Figure]:
    """Steps of ours and of TensorFlow Recommenders Addons' table, in turn.

    Args:
        threads: to work with.
    """
    torch.set_num_threads(threads)
    dynamic = _filled(PEER_ROWS)
    step = _step(dynamic, Adagrad(dynamic.parameters()))
    figures = []
    with _peer_steps(threads) as peer:
        for width in WIDTHS:
            runs = {"tfra": partial(peer, width), "ours": _seconds(step, PEER_ROWS, width, scattered=True)}
            taken = interleave(runs, repeats=PEER_REPEATS)
            ratio, spread = ratio_of_medians(taken["tfra"], taken["ours"])
            figures.append(Figure(f"dynamic_vs_tfra_{width}", ratio, target=PEER_TARGET, spread=spread))
            figures += _milliseconds({f"tfra_{width}": taken["tfra"], f"dynamic_2m_{width}": taken["ours"]})
    return figures


@contextmanager
def _peer_steps(threads: int) -> Iterator[Callable[[int], float]]:
    """A function that takes a step of so many ids for each of the batch, and returns its seconds."""
    script = Path(__file__).with_name("dynamic_table_tfra.py")
    command = [peers.python("tfra"), script, *map(str, (PEER_ROWS, DIM, BATCH, threads))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:  # it has other things to say first
            if line.startswith("ready"):
                break
        else:
            raise RuntimeError("the peer did not start; its errors stand above")
        if int(line.split()[1]) != PEER_ROWS:
            raise RuntimeError(f"the peer's table holds {line.split()[1]} rows")

        def seconds(width: int) -> float:
            print(width, file=process.stdin, flush=True)
            return float(process.stdout.readline())

        yield seconds
        process.stdin.close()


def _filled(rows: int) -> DynamicEmbedding:
    table = DynamicEmbedding(DIM)
    for start in range(0, rows, FILL):
        table(torch.arange(start, min(start + FILL, rows)) * ODD)
    return table


def _step_all(step: Step, rows: int, *, scale: int) -> None:
    for start in range(0, rows, FILL):
        ids = torch.arange(start, min(start + FILL, rows)) * scale
        step(ids, torch.ones(len(ids), DIM))


def _seconds(step: Step, rows: int, width: int, *, scattered: bool) -> Callable[[], float]:
    random = torch.Generator().manual_seed(5)
    shape = (BATCH, width) if width > 1 else (BATCH,)
    gradient = torch.randn(*shape, DIM, generator=random)

    def run() -> float:
        ids = torch.randint(1, rows, shape, generator=random)
        if scattered:
            ids *= ODD
        started = time.perf_counter()
        step(ids, gradient)
        return time.perf_counter() - started

    return run


def _measure(steps: dict[str, Step], rows: int, width: int, repeats: int, suffix: str) -> list[Figure]:
    runs = {name: _seconds(step, rows, width, scattered=name == "dynamic") for name, step in steps.items()}
    taken = interleave(runs, repeats=repeats)
    ratio, spread = ratio_of_medians(taken["dynamic"], taken["static"])
    target = None if suffix else TARGET
    name = f"dynamic_vs_static_{width}{suffix}"
    figures = [Figure(name, ratio, target=target, at_least=False, spread=spread)]
    return figures + _milliseconds({f"{name}_{width}{suffix}": times for name, times in taken.items()})


def _milliseconds(taken: dict[str, list[float]]) -> list[Figure]:
    figures = []
    for name, seconds in taken.items():
        times = [1e3 * one for one in seconds]
        figures.append(Figure(name, statistics.median(times), "ms", spread=(min(times), max(times))))
    return figures


def _step(table: Embedding | DynamicEmbedding, optimizer: torch.optim.Optimizer) -> Step:
    def step(ids: Tensor, gradient: Tensor) -> None:
        table(ids).backward(gradient)
        optimizer.step()
        optimizer.zero_grad()

    return step
