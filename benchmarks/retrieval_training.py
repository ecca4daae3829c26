"""Training steps of two towers with in-batch softmax: our `fit` beside TensorFlow Recommenders' `fit`.

MovieLens-1M as users and items, and a million users and a million items drawn by Zipf's law; batches of
8,192, two embedding tables, temperature 1, logQ correction, accidental hits removed, Adagrad at 0.1, no
metrics; both with two threads. At a million our tables have sparse gradients; the peer's always do. Before
any step both compute the loss of the same batch with the same weights, and the run stops unless they agree.
`million_bf16` is ours with `precision="bfloat16"`: 16-bit products in the softmax, tables of float32.
What is timed is an epoch over the same rows, whose ids are indices on both sides already.

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
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch

import shortlist as sl
from benchmarks import peers
from benchmarks.harness import Figure, interleave, ratio_of_medians
from shortlist.models.two_tower import item_probability
from shortlist.training import Adagrad

BATCH, THREADS, LEARNING_RATE = 8192, 2, 0.1
DIMS = (32, 64)
MILLION, MILLION_DIM = 1_000_000, 64
STEPS, QUICK_STEPS = 40, 6
LOSS_TOLERANCE = 1e-4  # relative, of float32 sums over 8,192 scores


def run(*, quick: bool) -> list[Figure]:
    """One epoch each in turn, at both widths and, in a full run, with the large tables."""
    torch.set_num_threads(THREADS)
    count, repeats = (QUICK_STEPS if quick else STEPS) * BATCH, 3 if quick else 5
    data = _events(count)
    figures = []
    for dim in DIMS:
        figures += _compare(f"ml1m_d{dim}", data, dim, target=6.0, repeats=repeats)
    if not quick:
        large = _zipf_events(count)
        for name, precision, target in (("fp32", "float32", 2.5), ("bf16", "bfloat16", 4.0)):
            figures += _compare(
                f"million_{name}",
                large,
                MILLION_DIM,
                target=target,
                repeats=repeats,
                sparse=True,
                precision=precision,
            )
    return figures


def _events(count: int) -> sl.Dataset:
    """Users and items of a random part of MovieLens-1M's events, without times or labels."""
    folder = Path(os.environ.get("SHORTLIST_DATA", "../shared/data"))
    full = sl.datasets.movielens("1m", folder=folder).interactions.select("user_id", "item_id")
    return sl.Dataset(full.sample(count, seed=0, shuffle=True), sl.Schema(), name="ml-1m part")


def _zipf_events(count: int) -> sl.Dataset:
    """Users and items drawn alike: the n-th most frequent of a million in proportion to 1 / n."""
    random = np.random.default_rng(0)
    shares = np.cumsum(1 / np.arange(1, MILLION + 1))
    names = ("user_id", "item_id")
    drawn = {
        name: random.permutation(MILLION)[np.searchsorted(shares, random.random(count) * shares[-1])]
        for name in names
    }
    users, items = (pl.DataFrame({name: np.arange(MILLION)}) for name in names)
    return sl.Dataset(pl.DataFrame(drawn), sl.Schema(), users=users, items=items, name="a million ids")


def _compare(
    name: str,
    data: sl.Dataset,
    dim: int,
    *,
    target: float,
    repeats: int,
    sparse: bool = False,
    precision: str = "float32",
) -> list[Figure]:
    tower = partial(sl.Tower, dim=dim, normalise=False, sparse=sparse)
    model = sl.TwoTower(
        query=tower([sl.Id("user_id")]),
        candidate=tower([sl.Id("item_id")]),
        task=sl.tasks.Retrieval(temperature=1.0, precision=precision),
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
    figures = [Figure(f"{name}_vs_tfrs", ratio, target=target, spread=spread)]
    for who in ("ours", "tfrs"):
        speed = [len(data) / seconds for seconds in taken[who]]
        value, spread = statistics.median(speed), (min(speed), max(speed))
        figures.append(Figure(f"{name}_{who}", value, "examples/s", spread=spread))
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
