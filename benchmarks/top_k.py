"""Exact top 100 of 1,000,000 × 64 float32: ours beside PyTorch's matmul + topk and TFRS's BruteForce."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import peers
from benchmarks.harness import Figure, interleave, ratio_of_medians
from shortlist.index import BruteForce

ROWS, QUICK_ROWS, DIM, K = 1_000_000, 250_000, 64, 100
BATCHES = {"one_query": 1, "batch64": 64}
TARGETS = {"one_query": 1.5, "batch64": 3.0}
THREADS = (2, 1)


def run(*, quick: bool) -> list[Figure]:
    """Ours and the peers in turn, with 2 threads (the targets' figures) and with 1.

    The vectors are iid Gaussian: norms that are all alike, the case in which a search can skip nothing. The
    figures that end in `_recsys` are for vectors as trained models give them, in clusters and with norms that
    grow with popularity, beside PyTorch alone.
    """
    rows, repeats = (QUICK_ROWS, 5) if quick else (ROWS, 9)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(rows, DIM, generator=generator)
    queries = torch.randn(max(BATCHES.values()), DIM, generator=generator)
    figures = []
    for threads in THREADS:
        suffix = "" if threads == THREADS[0] else f"_{threads}_thread"
        figures += _compare(vectors, queries, threads, repeats, suffix, with_tfrs=True)
    clustered = recsys_vectors(rows, generator), recsys_vectors(len(queries), generator)
    return figures + _compare(*clustered, THREADS[0], repeats, "_recsys", with_tfrs=False)


def recsys_vectors(count: int, generator: torch.Generator) -> Tensor:
    """`[count, 64]` vectors in 1,000 clusters of unequal size, norms log-normal with a deviation of 0.16."""
    centres = torch.randn(1000, DIM, generator=torch.Generator().manual_seed(1))
    sizes = 1.0 / torch.arange(3, 1003) ** 0.9
    member = torch.multinomial(sizes, count, replacement=True, generator=generator)
    directions = centres[member] + 0.7 * torch.randn(count, DIM, generator=generator)
    norms = torch.exp(0.16 * torch.randn(count, 1, generator=generator))
    return torch.nn.functional.normalize(directions) * norms


def _compare(
    vectors: Tensor, queries: Tensor, threads: int, repeats: int, suffix: str, *, with_tfrs: bool
) -> list[Figure]:
    torch.set_num_threads(threads)
    index = BruteForce(DIM, threads=threads).fit(np.arange(len(vectors)), vectors)
    bandwidth = _bandwidth(vectors)
    figures = [] if suffix else [Figure("read_bandwidth", bandwidth / 1e9, "GB/s")]
    with _peer_searches(vectors, queries, threads, with_tfrs=with_tfrs) as searches:
        for name, batch in BATCHES.items():
            some = queries[:batch]
            found = index.search(some, K).ids
            runs = {"ours": partial(_seconds, partial(index.search, some, K))}
            runs |= {peer: partial(_first, search, batch) for peer, search in searches.items()}
            for peer, search in searches.items():
                _check_same(vectors, some, found, search(batch)[1], peer)
            taken = interleave(runs, repeats=repeats)
            figures += _figures(name + suffix, taken, TARGETS[name] if not suffix else None)
            limit = vectors.numel() * 4 / bandwidth
            if batch == 1:  # above 1: less was read than the float32 vectors
                share = limit / statistics.median(taken["ours"])
                figures.append(Figure(f"share_of_bandwidth_limit{suffix}", share))
    return figures


def _figures(name: str, taken: dict[str, list[float]], target: float | None) -> list[Figure]:
    best = min((peer for peer in taken if peer != "ours"), key=lambda peer: statistics.median(taken[peer]))
    ratio, spread = ratio_of_medians(taken[best], taken["ours"])
    figures = [Figure(f"speedup_{name}", ratio, f"over {best}", target, spread=spread)]
    for who, seconds in taken.items():
        milliseconds = [each * 1e3 for each in seconds]
        spread = min(milliseconds), max(milliseconds)
        figures.append(Figure(f"{who}_{name}", statistics.median(milliseconds), "ms", spread=spread))
    return figures


@contextmanager
def _peer_searches(
    vectors: Tensor, queries: Tensor, threads: int, *, with_tfrs: bool
) -> Iterator[dict[str, Callable[[int], tuple[float, NDArray[np.int64]]]]]:
    """The peers, each a function from a batch size to its seconds and the rows found."""
    transposed = vectors.T

    def pytorch(batch: int) -> tuple[float, NDArray[np.int64]]:
        started = time.perf_counter()
        rows = torch.topk(queries[:batch] @ transposed, K).indices
        return time.perf_counter() - started, rows.numpy()

    if not with_tfrs:
        yield {"torch": pytorch}
        return
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "candidates.npy", Path(folder) / "queries.npy"]
        for file, tensor in zip(files, (vectors, queries), strict=True):
            np.save(file, tensor.numpy())
        script = Path(__file__).with_name("top_k_tfrs.py")
        command = [peers.python("tfrs"), script, *files, str(K), str(threads)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError("the peer did not start; its errors stand above")

            def tfrs(batch: int) -> tuple[float, NDArray[np.int64]]:
                print(batch, file=process.stdin, flush=True)
                answer = json.loads(process.stdout.readline())
                return float(answer["seconds"]), np.array(answer["rows"])

            yield {"torch": pytorch, "tfrs": tfrs}
            process.stdin.close()


def _check_same(
    vectors: Tensor, queries: Tensor, ours: NDArray[np.int64], theirs: NDArray[np.int64], peer: str
) -> None:
    """Both top 100 are the same rows, up to scores that float32 sums cannot tell apart."""
    for query, a, b in zip(queries.double(), ours, theirs, strict=True):
        worst = min(float((vectors[rows].double() @ query).min()) for rows in (a, b))
        for row in set(a.tolist()) ^ set(b.tolist()):
            score = float(vectors[row].double() @ query)
            if score - worst > 1e-5 * float(vectors[row].double().norm() * query.norm()):
                raise RuntimeError(f"{peer} and ours differ in row {row}")


def _first(search: Callable[[int], tuple[float, NDArray[np.int64]]], batch: int) -> float:
    return search(batch)[0]


def _bandwidth(vectors: Tensor) -> float:
    """Bytes a second at which all the threads together can read the vectors: the best of several sums."""
    seconds = min(_seconds(lambda: vectors.sum()) for _ in range(7))
    return vectors.numel() * 4 / seconds


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
