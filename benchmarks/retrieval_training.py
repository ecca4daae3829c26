"""Training steps of two towers with in-batch softmax: our `fit` beside TensorFlow Recommenders' `fit`.

MovieLens-1M as users and items, and a million users and a million items, each with a row in its table and
drawn by Zipf's law; batches of 8,192, two embedding tables, temperature 1, logQ correction, accidental hits
removed, Adagrad at 0.1, no metrics; both with two threads. At a million our tables have sparse gradients; the
peer's always do. Before any step both compute the loss of the same batch with the same weights, and the run
stops unless they agree. What is timed is an epoch over the same rows, whose ids are indices on both sides
already.

In bfloat16 our tables take half the memory and their weights are rounded at random, and the softmax may take
16-bit products; the optimizer is then row-wise Adagrad, one accumulator a row. `memory` is what the model and
an epoch add to the peak of a process that has the events, encoded: tables, optimizer state, embeddings of all
items, gradients.

What differs: the peer's batches are cached tensors in one fixed order, ours are gathered anew in a new order;
its loss is a sum, ours a mean, checked for NaN at every step; and ours scores an item that repeats within a
batch once, which changes no loss. Set-up, tracing the graph and embedding the catalogue at the end of `fit`
are not timed on either side.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from torch import Tensor

import shortlist as sl
from benchmarks import peers
from benchmarks.harness import Figure, interleave, ratio_of_medians
from shortlist.data.loader import BatchLoader
from shortlist.models.two_tower import item_probability
from shortlist.training import Adagrad, RowwiseAdagrad

BATCH, THREADS, LEARNING_RATE = 8192, 2, 0.1
DIMS = (32, 64)
MILLION, MILLION_DIM = 1_000_000, 64
STEPS, QUICK_STEPS = 40, 6
LOSS_TOLERANCE = 1e-4  # relative, of float32 sums over 8,192 scores
MEMORY_TARGET = 0.5


@dataclass(frozen=True)
class Tables:
    """How our tables are kept and stepped."""

    sparse: bool = False
    dtype: torch.dtype = torch.float32
    precision: Literal["float32", "bfloat16"] = "float32"  # of the softmax's products
    optimizer: Callable[..., torch.optim.Optimizer] = Adagrad


KINDS = {
    "fp32": Tables(sparse=True),
    "bf16": Tables(sparse=True, dtype=torch.bfloat16, precision="bfloat16", optimizer=RowwiseAdagrad),
}
TARGETS = {"fp32": 2.5, "bf16": 4.0}


def run(*, quick: bool) -> list[Figure]:
    """One epoch each in turn, at both widths and, in a full run, with the large tables."""
    torch.set_num_threads(THREADS)
    count, repeats = (QUICK_STEPS if quick else STEPS) * BATCH, 3 if quick else 5
    data, figures = _events(count), []
    for dim in DIMS:
        figures += _compare(f"ml1m_d{dim}", data, torch.arange(count), dim, target=6.0, repeats=repeats)
    if not quick:
        large = zipf_events(count)
        for kind, tables in KINDS.items():
            options = {"target": TARGETS[kind], "repeats": repeats, "tables": tables}
            figures += _compare(f"million_{kind}", *large, MILLION_DIM, **options)
        figures += _memory()
    return figures


def _events(count: int) -> sl.Dataset:
    """Users and items of a random part of MovieLens-1M's events, without times or labels."""
    folder = Path(os.environ.get("SHORTLIST_DATA", "../shared/data"))
    full = sl.datasets.movielens("1m", folder=folder).interactions.select("user_id", "item_id")
    return sl.Dataset(full.sample(count, seed=0, shuffle=True), sl.Schema(), name="ml-1m part")


def zipf_events(count: int) -> tuple[sl.Dataset, Tensor]:
    """A million users and items and, as row numbers, the events to train on.

    Of those users and items are drawn alike, the n-th most frequent in proportion to 1 / n. Before them
    stands an event of each user and each item, since only ids with events have rows in the tables.
    """
    random = np.random.default_rng(0)
    shares = np.cumsum(1 / np.arange(1, MILLION + 1))
    columns = {}
    for name in ("user_id", "item_id"):
        ids = random.permutation(MILLION)
        drawn = ids[np.searchsorted(shares, random.random(count) * shares[-1])]
        columns[name] = np.concatenate([ids, drawn])
    data = sl.Dataset(pl.DataFrame(columns), sl.Schema(), name="a million ids")
    return data, torch.arange(MILLION, MILLION + count)


def _compare(
    name: str,
    data: sl.Dataset,
    rows: Tensor,
    dim: int,
    *,
    target: float,
    repeats: int,
    tables: Tables = Tables(),
) -> list[Figure]:
    model = two_towers(dim, tables)
    loader = BatchLoader(data, model.build(data), batch_size=BATCH, rows=rows)
    model.item_probability.copy_(item_probability(data))

    def ours() -> float:
        return train(model, data, loader, tables)

    with _peer(model, data, rows) as (loss, tfrs):
        mine = _first_loss(model, loader)
        if abs(loss - mine) > LOSS_TOLERANCE * mine:
            raise RuntimeError(f"the first batch's loss is {mine} here and {loss} in the peer")
        taken = interleave({"ours": ours, "tfrs": tfrs}, repeats=repeats)
    ratio, spread = ratio_of_medians(taken["tfrs"], taken["ours"])
    figures = [Figure(f"{name}_vs_tfrs", ratio, target=target, spread=spread)]
    for who in ("ours", "tfrs"):
        speed = [len(rows) / seconds for seconds in taken[who]]
        value, spread = statistics.median(speed), (min(speed), max(speed))
        figures.append(Figure(f"{name}_{who}", value, "examples/s", spread=spread))
    return figures


def two_towers(dim: int, tables: Tables) -> sl.TwoTower:
    """A model of ids alone."""
    tower = partial(sl.Tower, dim=dim, normalise=False, sparse=tables.sparse, table_dtype=tables.dtype)
    return sl.TwoTower(
        query=tower([sl.Id("user_id")]),
        candidate=tower([sl.Id("item_id")]),
        task=sl.tasks.Retrieval(temperature=1.0, precision=tables.precision),
    )


def train(model: sl.TwoTower, data: sl.Dataset, loader: BatchLoader, tables: Tables) -> float:
    """The seconds of an epoch."""
    options = {"optimizer": tables.optimizer, "learning_rate": LEARNING_RATE}
    return model.fit(data, epochs=1, loader=loader, **options).epochs[0]["seconds"]


def _memory() -> list[Figure]:
    """What training a million ids adds to the peak of a process of its own, in float32 and in bfloat16."""
    megabytes = {}
    for kind in KINDS:
        command = [sys.executable, "-m", "benchmarks.retrieval_training_memory", kind]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        megabytes[kind] = float(output)
    figures = [Figure(f"million_{kind}_memory", value, "MB") for kind, value in megabytes.items()]
    ratio = megabytes["bf16"] / megabytes["fp32"]
    return [*figures, Figure("million_bf16_memory_vs_fp32", ratio, target=MEMORY_TARGET, at_least=False)]


def _first_loss(model: sl.TwoTower, loader: BatchLoader) -> float:
    with torch.no_grad():
        return float(model.compute_loss(loader.batch(loader.rows[:BATCH])))


@contextmanager
def _peer(model: sl.TwoTower, data: sl.Dataset, rows: Tensor) -> Iterator[tuple[float, Callable[[], float]]]:
    """The peer's loss of the first batch, and a function that trains an epoch and returns its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "inputs.npz"
        tables = {
            "user_table": model.query.encoders["0"].embedding.weight,
            "item_table": model.candidate.encoders["0"].embedding.weight,
            "probability": model.item_probability,
        }
        arrays = {name: tensor.detach().float().numpy() for name, tensor in tables.items()}
        columns = {"users": data.user_index[rows.numpy()], "items": data.item_index[rows.numpy()]}
        np.savez(file, **columns, **arrays)
        settings = str(BATCH), str(LEARNING_RATE), str(THREADS)
        with peers.started("tfrs", "retrieval_training_tfrs.py", file, *settings) as ask:
            yield ask(None), lambda: ask("epoch")
