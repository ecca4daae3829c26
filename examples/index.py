"""Exact nearest items: exclusions, filters, changes, one file, and tables too big for memory."""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from shortlist.index import Batch, BruteForce, SearchResults, Streaming

rng = np.random.default_rng(0)
vectors = rng.normal(size=(5000, 32)).astype(np.float32)
ids = [f"item{i}" for i in range(5000)]
table = pl.DataFrame({"price": rng.uniform(1, 100, 5000).round(2)})
queries = vectors[:2] + 0.1

index = BruteForce(dim=32, metric="cosine").fit(ids, vectors, items=table)
found: SearchResults = index.search(queries, k=3)
print(found.ids.tolist(), found.scores.round(3).tolist())

# An item that a query must not get, and a condition on the item table: k come back when k are allowed.
found = index.search(queries, k=3, exclude=[["item0"], []], where=pl.col("price") < 5)
print(found.ids.tolist())

# A change is visible to the next search.
index.add(["new"], queries[:1], items=pl.DataFrame({"price": [1.0]}))
print("added:", index.search(queries[0], k=1).ids.tolist())
index.update(["new"], -queries[:1])
index.remove(["item0"])
print("updated, removed:", index.search(queries[0], k=1).ids.tolist(), len(index), "item0" in index)

# One file, mapped into memory when it is read.
path = Path(tempfile.mkdtemp()) / "items.index"
index.save(path)
print(
    "the same answer:",
    np.array_equal(BruteForce.load(path).search(queries, 9).ids, index.search(queries, 9).ids),
)


# Batches that are read anew for each search: only one or two are in memory.
def batches():
    """The table in five parts, as a file or a database would give it."""
    for start in range(0, 5000, 1000):
        rows = slice(start, start + 1000)
        yield Batch(ids[rows], vectors[rows], table[rows])


streaming = Streaming(batches, dim=32, metric="cosine")
ids_found, scores = streaming.search(queries, k=3, where=pl.col("price") < 5)
print(ids_found.tolist(), scores.round(3).tolist())
