"""Training steps of two towers with in-batch softmax: our `fit` beside TensorFlow Recommenders' `fit`.

MovieLens-1M as users and items, batches of 8,192, two embedding tables, temperature 1, logQ correction,
accidental hits removed, Adagrad at 0.1, no metrics; both with two threads. Before any step both compute the
loss of the same batch with the same weights, and the run stops unless they agree. What is timed is an epoch
over the same rows, whose ids are indices on both sides already.

What differs: the peer's batches are cached tensors in one fixed order, ours are gathered anew in a new order;
its loss is a sum, ours a mean, checked for NaN at every step; and ours scores an item that repeats within a
batch once, which changes no loss. Set-up, tracing the graph and embedding the catalogue at the end of `fit`
are not timed on either side.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

import shortlist as sl
from benchmarks import peers
from benchmarks.harness import Figure, interleave, ratio_of_medians
from shortlist.models.two_tower import item_probability
from shortlist.training import Adagrad

BATCH, THREADS, LEARNING_RATE = 8192, 2, 0.1
DIMS = (32, 64)
STEPS, QUICK_STEPS = 40, 6
TARGET = 6.0  # times the peer's speed
LOSS_TOLERANCE = 1e-4  # relative, of float32 sums over 8,192 scores


def run(*, quick: bool) -> list[Figure]:
    """One epoch each in turn, at both widths."""
    torch.set_num_threads(THREADS)
    data = _events((QUICK_STEPS if quick else STEPS) * BATCH)
    figures = []
    for dim in DIMS:
        figures += _compare(data, dim, repeats=3 if quick else 5)
    return figures


def _events(count: int) -> sl.Dataset:
    """Users and items of a random part of MovieLens-1M's events, without times or labels."""
    folder = Path(os.environ.get("SHORTLIST_DATA", "../shared/data"))
    full = sl.datasets.movielens("1m", folder=folder).interactions.select("user_id", "item_id")
    return sl.Dataset(full.sample(count, seed=0, shuffle=True), sl.Schema(), name="ml-1m part")


def _compare(data: sl.Dataset, dim: int, *, repeats: int) -> list[Figure]:
    model = sl.TwoTower(
        query=sl.Tower([sl.Id("user_id")], dim=dim, normalise=False),
        candidate=sl.Tower([sl.Id("item_id")], dim=dim, normalise=False),
        task=sl.tasks.Retrieval(temperature=1.0),
    )
    model.build(data)
    model.item_probability.copy_(item_probability(data))

    def ours() -> float:
        history = model.fit(data, epochs=1, batch_size=BATCH, optimizer=Adagrad, learning_rate=LEARNING_RATE)
        return history.epochs[0]["seconds"]

    with _peer(model, data) as (loss, tfrs):
        mine = _first_loss(model, data)
        if abs(loss - mine) > LOSS_TOLERANCE * mine:
            raise RuntimeError(f"the first batch's loss is {mine} here and {loss} in the peer")
        taken = interleave({"ours": ours, "tfrs": tfrs}, repeats=repeats)
    ratio, spread = ratio_of_medians(taken["tfrs"], taken["ours"])
    figures = [Figure(f"ml1m_d{dim}_vs_tfrs", ratio, target=TARGET, spread=spread)]
    for name in ("ours", "tfrs"):
        speed = [len(data) / seconds for seconds in taken[name]]
        value, spread = statistics.median(speed), (min(speed), max(speed))
        figures.append(Figure(f"ml1m_d{dim}_{name}", value, "examples/s", spread=spread))
    return figures


def _first_loss(model: sl.TwoTower, data: sl.Dataset) -> float:
    batch = model.make_loader(data, batch_size=BATCH, seed=0).batch(torch.arange(BATCH))
    with torch.no_grad():
        return float(model.compute_loss(batch))


@contextmanager
def _peer(model: sl.TwoTower, data: sl.Dataset) -> Iterator[tuple[float, Callable[[], float]]]:
    """The peer's loss of the first batch, and a function that trains an epoch and returns its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "inputs.npz"
        tables = {
            "user_table": model.query.encoders["0"].embedding.weight,
            "item_table": model.candidate.encoders["0"].embedding.weight,
            "probability": model.item_probability,
        }
        arrays = {name: tensor.detach().numpy() for name, tensor in tables.items()}
        np.savez(file, users=data.user_index, items=data.item_index, **arrays)
        script = Path(__file__).with_name("retrieval_training_tfrs.py")
        command = [peers.python("tfrs"), script, file, str(BATCH), str(LEARNING_RATE), str(THREADS)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None

            def answer() -> float:
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"the peer ended:\n{process.stderr.read()[-4000:]}")
                return float(json.loads(line))

            def epoch() -> float:
                print("epoch", file=process.stdin, flush=True)
                return answer()

            yield answer(), epoch
            process.stdin.close()
