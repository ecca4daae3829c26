"""Losses over 1,024 lists of 100 items, forward and backward: ours beside TensorFlow Ranking's.

Both get the same scores and labels, TensorFlow Ranking as a dense matrix, ours as lists; its step is one
compiled `tf.function`. Before anything is timed, losses and gradients are compared. A turn is as many steps
in a row, as training has them, as take TensorFlow Ranking `TURN` seconds: a single one of less than a
millisecond would measure how either process wakes up after the other's turn. The figures that end in `_mixed`
are for lists of 5 to 200 items with the same number of items in all, which TensorFlow Ranking pads.
"""

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
from torch import Tensor

from benchmarks import dcn_speed, peers, score_candidates
from benchmarks.harness import Figure, interleave, ratio_of_medians
from shortlist import losses
from shortlist.data.ragged import Ragged
from shortlist.losses import ListLosses

LISTS, QUICK_LISTS, ITEMS = 1024, 256, 100
MIXED = (5, 200)
TARGET = 3.0
THREADS = 1
TURN = 0.02
TOLERANCE = 1e-3
LOSSES: dict[str, Callable[..., ListLosses]] = {
    "softmax": losses.softmax,
    "lambdaloss": partial(losses.pairwise_logistic, lambda_weight=losses.DCGWeight()),
    "approx_ndcg": losses.approx_ndcg,
}
# Theirs takes a padded matrix; asked for some steps, it answers with the seconds of one, the loss and the
# norm of its gradient.
Peer = Callable[[str, int], dict[str, float]]


def run(*, quick: bool) -> list[Figure]:
    """All losses on lists of one length, then on lists of many."""
    torch.set_num_threads(THREADS)
    count = QUICK_LISTS if quick else LISTS
    generator = torch.Generator().manual_seed(0)
    equal = torch.full((count,), ITEMS)
    mixed = torch.randint(*MIXED, (count,), generator=generator)
    figures = score_candidates.figures(quick=quick)
    for lengths, suffix in ((equal, ""), (mixed, "_mixed")):
        values = torch.randn(int(lengths.sum()), generator=generator)
        labels = torch.randint(0, 5, (len(values),), generator=generator).float()
        figures += _compare(Ragged.from_lengths(values, lengths), labels, suffix, repeats=5 if quick else 9)
    return [*figures, *dcn_speed.figures(quick=quick)]


def _compare(scores: Ragged, labels: Tensor, suffix: str, *, repeats: int) -> Iterator[Figure]:
    with _tensorflow_ranking(scores, labels) as peer:
        for name, loss in LOSSES.items():
            if not suffix:  # padding changes theirs
                _check_same(name, loss, scores, labels, peer)
            steps = _steps_of_a_turn(name, peer)
            runs = {
                "ours": partial(_seconds_a_step, partial(_step, loss, scores, labels), steps),
                "tfr": lambda name=name, steps=steps: peer(name, steps)["seconds"],
            }
            taken = interleave(runs, repeats)
            ratio, spread = ratio_of_medians(taken["tfr"], taken["ours"])
            target = None if suffix else TARGET
            yield Figure(f"{name}_vs_tfr{suffix}", ratio, "times", target, spread=spread)
            for who, seconds in taken.items():
                each = [second * 1e3 for second in seconds]
                yield Figure(
                    f"{name}_{who}{suffix}", statistics.median(each), "ms", spread=(min(each), max(each))
                )


def _step(loss: Callable[..., ListLosses], scores: Ragged, labels: Tensor) -> tuple[Tensor, Tensor]:
    values = scores.values.detach().requires_grad_()
    found = loss(Ragged(values, scores.offsets), labels).total()
    found.backward()
    assert values.grad is not None
    return found.detach(), values.grad


def _steps_of_a_turn(name: str, peer: Peer) -> int:
    peer(name, 1)  # compiles
    return max(1, round(TURN / peer(name, 1)["seconds"]))


def _seconds_a_step(step: Callable[[], object], steps: int) -> float:
    started = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - started) / steps


def _check_same(
    name: str, loss: Callable[..., ListLosses], scores: Ragged, labels: Tensor, peer: Peer
) -> None:
    total, gradient = _step(loss, scores, labels)
    theirs = peer(name, 1)
    for what, ours in (("loss", float(total)), ("gradient", float(gradient.norm()))):
        if abs(ours - theirs[what]) > TOLERANCE * abs(theirs[what]):
            raise RuntimeError(f"{name}: the {what} is {ours} here and {theirs[what]} there")


@contextmanager
def _tensorflow_ranking(scores: Ragged, labels: Tensor) -> Iterator[Peer]:
    width = int(scores.lengths.max())
    padded = scores.to_padded(width), Ragged(labels, scores.offsets).to_padded(width, value=-1)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "scores.npy", Path(folder) / "labels.npy"]
        for file, tensor in zip(files, padded, strict=True):
            np.save(file, tensor.numpy())
        command = [
            peers.python("tfr"),
            Path(__file__).with_name("ranking_speed_tfr.py"),
            *files,
            str(THREADS),
        ]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError("the peer did not start; its errors stand above")

            def answer(name: str, steps: int) -> dict[str, float]:
                print(name, steps, file=process.stdin, flush=True)
                reply: dict[str, float] = json.loads(process.stdout.readline())
                return reply

            yield answer
            process.stdin.close()
