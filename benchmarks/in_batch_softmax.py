"""Forward and backward of the in-batch softmax: ours beside PyTorch's plain form, eager and compiled.

The plain form is `cross_entropy(queries @ candidates.T, arange)`. Before anything is timed its loss and its
gradients are compared with ours. Times are medians of rounds in turn. The rate counts the three products and
nothing else; its share is of what one core of the recorded machine can multiply and add in float32, 246
GFLOP/s.

`fp32` is float32 on all sides. `bf16` is ours with precision="bfloat16", products of 16 bits where those are
faster, beside the faster of the peer's two precisions; its bfloat16 form rounds what is multiplied, and takes
the softmax of float32. Where there is a GPU, `in_batch_softmax_cuda` measures there too.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks import in_batch_softmax_cuda
from benchmarks.harness import Figure, interleave, ratio_of_medians
from shortlist.losses import in_batch_softmax

SHAPES = ((1024, 32), (4096, 32), (4096, 64), (8192, 64), (16384, 128))
QUICK_SHAPES = ((1024, 32), (4096, 32))
TARGETS = {  # over the compiled and over the eager form
    ("fp32", 4096, 32): (1.5, 2.8),
    ("fp32", 8192, 64): (1.5, 2.8),
    ("bf16", 4096, 32): (3.0, 5.5),
    ("bf16", 8192, 64): (3.0, 5.5),
}
THREADS = (1, 2)
TOLERANCE = {"fp32": 1e-5, "bf16": 1e-2}  # of the largest gradient
MEMORY_SHAPE = (8192, 64)
CORE_LIMIT = 246e9  # float32 operations a second
Loss = Callable[[Tensor, Tensor], Tensor]


def run(*, quick: bool) -> list[Figure]:
    """All shapes with one thread and with two; with one thread the figures have targets."""
    figures = []
    for threads in THREADS[:1] if quick else THREADS:
        torch.set_num_threads(threads)
        for shape in QUICK_SHAPES if quick else SHAPES:
            figures += _compare(*shape, threads, repeats=3 if quick else 7)
    if not quick:
        figures.append(_memory())
    if torch.cuda.is_available():
        torch.compiler.reset()
        forms = {"ours": ours, "compile": torch.compile(plain, dynamic=False), "eager": plain}
        figures += in_batch_softmax_cuda.figures(forms, embeddings, repeats=3 if quick else 7)
    return figures


def ours(queries: Tensor, candidates: Tensor) -> Tensor:
    """The mean loss, fused."""
    return in_batch_softmax(queries, candidates, reduction="mean")


def ours_bf16(queries: Tensor, candidates: Tensor) -> Tensor:
    """The same with products of 16 bits where those are faster."""
    return in_batch_softmax(queries, candidates, reduction="mean", precision="bfloat16")


def plain(queries: Tensor, candidates: Tensor) -> Tensor:
    """The mean loss as one would write it down."""
    return functional.cross_entropy(queries @ candidates.T, torch.arange(len(queries), device=queries.device))


def plain_bf16(queries: Tensor, candidates: Tensor) -> Tensor:
    """The same with products of bfloat16 and a float32 softmax."""
    scores = (queries.bfloat16() @ candidates.bfloat16().T).float()
    return functional.cross_entropy(scores, torch.arange(len(queries)))


def _compare(batch: int, dim: int, threads: int, *, repeats: int) -> Iterator[Figure]:
    pair = embeddings(batch, dim)
    torch.compiler.reset()  # past eight forms of a function it would run eagerly and look slower than it is
    forms = {
        "fp32_ours": ours,
        "fp32_compile": torch.compile(plain, dynamic=False),
        "fp32_eager": plain,
        "bf16_ours": ours_bf16,
        "bf16_compile": torch.compile(plain_bf16, dynamic=False),
        "bf16_eager": plain_bf16,
    }
    _check_same(pair)
    taken = interleave({name: partial(_seconds, form, pair) for name, form in forms.items()}, repeats=repeats)
    ending = f"{batch}x{dim}" + ("" if threads == 1 else f"_{threads}_threads")
    for precision in ("fp32", "bf16"):
        name, mine = f"{precision}_{ending}", taken[f"{precision}_ours"]
        targets = TARGETS.get((precision, batch, dim), (None, None)) if threads == 1 else (None, None)
        for peer, target in zip(("compile", "eager"), targets, strict=True):
            theirs = taken[f"fp32_{peer}"]
            if precision == "bf16":
                theirs = min(theirs, taken[f"bf16_{peer}"], key=statistics.median)
            ratio, spread = ratio_of_medians(theirs, mine)
            yield Figure(f"{name}_vs_{peer}", ratio, target=target, spread=spread)
        for who in ("ours", "compile", "eager"):
            milliseconds = [1e3 * each for each in taken[f"{precision}_{who}"]]
            spread = min(milliseconds), max(milliseconds)
            yield Figure(f"{name}_{who}", statistics.median(milliseconds), "ms", spread=spread)
        rate = 6 * batch * batch * dim / statistics.median(mine)
        yield Figure(f"{name}_rate", rate / 1e9, "GFLOP/s")
        yield Figure(f"{name}_share_of_limit", rate / (CORE_LIMIT * threads))


def embeddings(batch: int, dim: int) -> tuple[Tensor, Tensor]:
    """Queries and candidates near their own, `[batch, dim]` float32 each.

    Args:
        batch: how many.
        dim: their width.
    """
    generator = torch.Generator().manual_seed(0)
    queries, candidates = (torch.randn(batch, dim, generator=generator) for _ in range(2))
    return (queries / dim**0.5).requires_grad_(), (candidates + queries).detach().requires_grad_()


def _seconds(loss: Loss, pair: tuple[Tensor, Tensor]) -> float:
    started = time.perf_counter()
    torch.autograd.grad(loss(*pair), pair)
    return time.perf_counter() - started


def _check_same(pair: tuple[Tensor, Tensor]) -> None:
    exact = _differentiated(plain, pair)
    for precision, loss in (("fp32", ours), ("bf16", ours_bf16)):
        for one, other in zip(_differentiated(loss, pair), exact, strict=True):
            if float((one - other).abs().max()) > TOLERANCE[precision] * float(other.abs().max()):
                raise RuntimeError(f"ours in {precision} and PyTorch's plain form disagree")


def _differentiated(loss: Loss, pair: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    value = loss(*pair)
    return value.detach(), *torch.autograd.grad(value, pair)


def _memory() -> Figure:
    """What a step adds to the peak of a process's resident memory, ours over the eager form's."""
    added = {}
    for name in ("ours", "plain"):
        code = f"from benchmarks import in_batch_softmax as b; print(b.added_memory(b.{name}))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        added[name] = float(done.stdout)
    return Figure("memory_vs_eager", added["ours"] / added["plain"], target=0.1, at_least=False)


def added_memory(loss: Loss) -> int:
    """Kibibytes that one step adds to the peak of this process.

    Args:
        loss: of queries and candidates.
    """
    torch.set_num_threads(1)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak, which was inherited from the parent
    small, large = embeddings(64, MEMORY_SHAPE[1]), embeddings(*MEMORY_SHAPE)
    _seconds(loss, small)  # what is loaded and made once
    gradients = [torch.ones_like(each) for each in large]  # stay either way
    before = _peak()
    del gradients
    _seconds(loss, large)
    return max(_peak() - before, 1)


def _peak() -> int:
    """Kibibytes of resident memory that this process has had at most."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    return int(line.split()[1])
