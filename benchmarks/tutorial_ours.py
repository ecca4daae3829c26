"""Our half of `tutorial`, a process of its own: read, train, evaluate, index, recommend.

Started as `python -m benchmarks.tutorial_ours FOLDER EPOCHS`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

import shortlist as sl

DIM, BATCH, LEARNING_RATE = 32, 8192, 0.1


def main() -> None:
    """Do the tutorial's work once and print its figures as a line of JSON, last."""
    folder, epochs = Path(sys.argv[1]), int(sys.argv[2])
    train, test = read(folder)
    model = sl.TwoTower(
        query=sl.Tower([sl.Id("user_id")], dim=DIM), candidate=sl.Tower([sl.Id("movie_title")], dim=DIM)
    )
    model.fit(train, epochs=epochs, batch_size=BATCH, learning_rate=LEARNING_RATE)
    metric = sl.metrics.FactorizedTopK(ks=(1, 5, 10, 50, 100))
    figures = model.evaluate(test, metrics=[metric], exclude_seen=False)
    print(figures)

    titles = train.item_vocabulary.decode(range(1, len(train.item_vocabulary)))
    index = sl.index.BruteForce(DIM).fit(titles, model.item_vectors[1:])
    user = torch.tensor([train.people.index_of(42)])
    queries = model.embed_queries(train.requests_of(user))
    print("recommendations for user 42:", index.search(queries, 3).ids[0])
    print(json.dumps({f"top{k}": figures[f"hit_rate@{k}"] for k in (10, 100)}))


def read(folder: Path) -> tuple[sl.Dataset, sl.Dataset]:
    """The events as user ids and titles, in the parts of `split-tutorial.npz`."""
    full = sl.datasets.movielens("100k", folder=folder)
    titles = full.items.select("item_id", movie_title="title")
    events = full.interactions.join(titles, on="item_id", maintain_order="left")
    test = np.zeros(len(events), bool)
    test[np.load(folder / "split-tutorial.npz")["test"]] = True
    items = titles.select("movie_title").unique(maintain_order=True)
    schema = sl.Schema(item_id="movie_title")
    return sl.Dataset(events.select("user_id", "movie_title"), schema, items=items).split_at(test)


if __name__ == "__main__":
    main()
