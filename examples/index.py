"""Nearest items, exact and approximate: exclusions, filters, changes, one file, tables too big for memory."""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from shortlist.index import Approximate, Batch, BruteForce, SearchResults, Streaming

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

# Approximate: most items are never looked at. The index measured what recall which effort gives.
lengths = np.exp(0.3 * rng.normal(size=(50_000, 1)))
many = (lengths * rng.normal(size=(50_000, 32))).astype(np.float32)
prices = pl.DataFrame({"price": rng.uniform(1, 100, 50_000)})
fast = Approximate(dim=32, recall=0.9).fit(np.arange(50_000), many, items=prices)
exact = BruteForce(dim=32).fit(np.arange(50_000), many)
asked = rng.normal(size=(200, 32)).astype(np.float32)
hits = [
    np.isin(*pair).mean()
    for pair in zip(exact.search(asked, 10).ids, fast.search(asked, 10).ids, strict=True)
]
print(
    f"recall@10: {np.mean(hits):.2f}; cheap ones:",
    fast.search(asked[0], 3, where=pl.col("price") < 2).ids.tolist(),
)
print("effort and recall:", fast.curve()[::6], "bytes:", fast.memory()["total"])
fast.add([50_000], asked[:1] * 100, items=pl.DataFrame({"price": [5.0]}))
fast.settle()  # new vectors may be joining the leaves in the background
fast.save(path)
print("added and saved:", Approximate.load(path).search(asked[0], 1).ids.tolist())
