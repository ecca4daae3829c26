"""Training a deep and cross network (DCN-v2): our `fit` beside TensorFlow Recommenders' `Cross` and `fit`.

The model of their tutorial on MovieLens-100K's ratings: six columns with embeddings of 32 numbers, one cross
of full rank, two layers of 192, Adam, batches of 8,192, one thread each. Ids are indices on both sides
already. Before anything is timed, both compute the loss of the same batch with the same weights.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch

import shortlist as sl
from benchmarks import peers
from benchmarks.harness import Figure, interleave, ratio_of_medians
from shortlist.data.loader import BatchLoader
from shortlist.nn.bodies import DCN

BATCH, DIM, HIDDEN, RATE, THREADS = 8192, 32, (192, 192), 0.01, 1
TARGET = 2.0
TOLERANCE = 1e-4  # relative, of the first batch's loss
USER = ("gender", "zip", "occupation")


def figures(*, quick: bool) -> list[Figure]:
    """One epoch each in turn."""
    data = _ratings()
    model = _model()
    loader = BatchLoader(data, model.build(data), batch_size=BATCH, rows=torch.arange(len(data)))
    with _peer(model, data, loader) as tfrs:
        runs = {"ours": partial(_epoch, model, data, loader), "tfrs": tfrs}
        runs["bf16"] = partial(_epoch, model, data, loader, precision="bfloat16")
        taken = interleave(runs, repeats=3 if quick else 7)
    found = []
    for name, who, target in (("dcn_vs_tfrs", "ours", TARGET), ("dcn_bf16_vs_tfrs", "bf16", None)):
        ratio, spread = ratio_of_medians(taken["tfrs"], taken[who])
        found.append(Figure(name, ratio, "times", target, spread=spread))
    for who, seconds in taken.items():
        speed = [len(data) / each for each in seconds]
        spread = (min(speed), max(speed))
        found.append(Figure(f"dcn_{who}", statistics.median(speed), "examples/s", spread=spread))
    return found


def _ratings() -> sl.Dataset:
    full = sl.datasets.movielens("100k")
    assert full.users is not None
    users = full.users.with_columns(age=pl.col("age") // 10)
    events = full.interactions.select("user_id", "item_id", "rating")
    return sl.Dataset(events, sl.Schema(label="rating"), users=users)


def _model() -> sl.Ranker:
    known = [sl.Category(name) for name in (*USER, "age")]
    body = DCN(cross_layers=1, hidden=HIDDEN, dropout=0)
    return sl.Ranker([sl.Id("user_id"), *known], [sl.Id("item_id")], body=body, dim=DIM, loss="rating")


def _epoch(
    model: sl.Ranker,
    data: sl.Dataset,
    loader: BatchLoader,
    *,
    precision: Literal["float32", "bfloat16"] = "float32",
) -> float:
    return model.fit(data, epochs=1, loader=loader, learning_rate=RATE, precision=precision).epochs[0][
        "seconds"
    ]


@contextmanager
def _peer(model: sl.Ranker, data: sl.Dataset, loader: BatchLoader) -> Iterator[Callable[[], float]]:
    """A function that lets the peer train an epoch and returns its seconds."""
    model.centre.zero_()  # the peer has none
    batch = loader.batch(loader.rows)
    names = [feature.name for feature in (*model.query_features, *model.candidate_features)]
    arrays = {"columns": torch.stack([batch[name] for name in names], dim=1).numpy()}
    arrays["label"] = batch["label"].numpy()
    encoders = [*model.fields.query, *model.fields.candidate]
    arrays |= {f"table{n}": encoder.embedding.weight for n, encoder in enumerate(encoders)}
    arrays["cross"] = model.network.crosses[0].kernel.weight.T
    for place, linear in enumerate(model.network.deep.linears):
        arrays |= {f"dense{place}": linear.weight.T, f"bias{place}": linear.bias}
    kept = {
        name: each.detach().numpy() if isinstance(each, torch.Tensor) else each
        for name, each in arrays.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "inputs.npz"
        np.savez(file, **kept)
        with peers.started("tfrs", "dcn_speed_tfrs.py", file, BATCH, RATE, THREADS) as ask:
            with torch.no_grad():
                ours = float(model.compute_loss(loader.batch(loader.rows[:BATCH])))
            theirs = ask(None)
            if abs(ours - theirs) > TOLERANCE * abs(ours):
                raise RuntimeError(f"the first batch's loss is {ours} here and {theirs} there")
            yield lambda: ask("epoch")
