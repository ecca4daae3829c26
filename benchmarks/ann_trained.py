"""The real sets of `ann`: vectors that models learnt from MovieLens-1M and Gowalla.

`als_gowalla` are ALS factors, 40,981 × 128. The two-tower sets have as many vectors as there are items, 3,706
and 40,981, so they are replicated to a million: every vector many times, each time with noise of a tenth of
its length. Their queries are the embeddings of the users. MovieLens-1M's towers leave the embeddings' lengths
free, so that they grow with popularity; Gowalla's bring them to length 1, which is the library's default.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch

import shortlist as sl
from benchmarks import peers
from benchmarks.ann_data import Floats, replicated

DIM, EPOCHS, QUERIES, SEED = 64, 3, 10_000, 0


def als_gowalla() -> tuple[Floats, Floats]:
    """Item and user factors, by the peers' interpreter."""
    script = Path(__file__).with_name("ann_als.py")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([peers.python("ann"), script, _gowalla_file(), folder], check=True)
        return np.load(f"{folder}/base.npy"), np.load(f"{folder}/query.npy")


def two_tower_ml1m(rows: int) -> tuple[Floats, Floats]:
    """Item embeddings of any length, replicated, and user embeddings."""
    data = sl.datasets.movielens("1m", folder=_data())
    return _two_tower(data.interactions.select("user_id", "item_id"), rows, normalise=False)


def two_tower_gowalla(rows: int) -> tuple[Floats, Floats]:
    """Item embeddings of length 1, replicated, and user embeddings."""
    with gzip.open(_gowalla_file(), "rt") as lines:
        visits = [line.split() for line in lines]
    events = pl.DataFrame(
        {"user_id": [row[0] for row in visits], "item_id": [row[1:] for row in visits]}
    ).explode("item_id")
    return _two_tower(events.drop_nulls().cast(pl.Int64), rows, normalise=True)


def _two_tower(events: pl.DataFrame, rows: int, *, normalise: bool) -> tuple[Floats, Floats]:
    data = sl.Dataset(events, sl.Schema(), name="events")
    tower = partial(sl.Tower, dim=DIM, normalise=normalise)
    temperature = {} if normalise else {"temperature": 1.0}
    model = sl.TwoTower(
        query=tower([sl.Id("user_id")]),
        candidate=tower([sl.Id("item_id")]),
        task=sl.tasks.Retrieval(**temperature),
    )
    model.fit(data, epochs=EPOCHS, batch_size=2048, seed=SEED)
    people = torch.unique(torch.from_numpy(data.person_index))
    order = torch.randperm(len(people), generator=torch.Generator().manual_seed(SEED))
    queries = model.embed_queries(data.requests_of(people[order][:QUERIES]))
    return replicated(model.item_vectors[1:].numpy(), rows), queries.numpy()


def _data() -> Path:
    return Path(os.environ.get("SHORTLIST_DATA", "../shared/data"))


def _gowalla_file() -> Path:
    return _data() / "gowalla" / "train.txt.gz"
