"""The vector sets of `ann`: made once, kept as `.npy` files with their exact answers.

A set is a folder `NAME/` with `base.npy` and `query.npy`, float32, and `gt_ids.npy`, the rows of the exact
top 100 of each query. The folders lie under `build/ann-data/`, or where `ANN_DATA` says.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.index import BruteForce
from shortlist.index.inputs import Metric

TRUTH, TRUTH_PART = 100, 1000  # answers kept a query; queries of one exact search
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class VectorSet:
    """Vectors, queries and the exact answers.

    Args:
        folder: where the files are; its name is the set's.
        metric: what the answers were found by.
    """

    folder: Path
    metric: Metric

    @cached_property
    def base(self) -> Floats:
        """`[n, dim]`."""
        return self._load("base")

    @cached_property
    def query(self) -> Floats:
        """`[queries, dim]`."""
        return self._load("query")

    def truth(self, where: str = "") -> NDArray[Any]:
        """`[queries, 100]` rows of the best vectors, of all or of those that a filter allows."""
        return self._load(f"gt_{where}" if where else "gt_ids")

    def allowed(self, where: str) -> NDArray[np.bool_]:
        """`[n]`, the filter of that name; `add_filter` makes it."""
        return self._load(where)

    def add_filter(self, share: float) -> str:
        """Make a filter that allows a random share of the vectors, and its exact answers.

        Args:
            share: above 0, below 1.

        Returns:
            The filter's name.
        """
        name = f"where_{share:g}"
        if not (self.folder / f"gt_{name}.npy").exists():
            allowed = np.random.default_rng(7).random(len(self.base)) < share
            np.save(self.folder / f"{name}.npy", allowed)
            np.save(self.folder / f"gt_{name}.npy", exact(self.base, self.query, self.metric, allowed))
        return name

    def _load(self, file: str) -> NDArray[Any]:
        array: NDArray[Any] = np.load(self.folder / f"{file}.npy")
        return array


def prepared(name: str, make: Callable[[], tuple[Floats, Floats]], *, metric: Metric = "dot") -> VectorSet:
    """The set of that name, made when it is not there.

    Args:
        name: of its folder.
        make: returns the vectors, `[n, dim]`, and the queries.
        metric: what the exact answers are found by.
    """
    root = Path(os.environ.get("ANN_DATA", Path(__file__).resolve().parents[1] / "build" / "ann-data"))
    folder = root / name
    if not folder.exists():
        base, query = make()
        root.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root))
        try:
            for file, array in {"base": base, "query": query, "gt_ids": exact(base, query, metric)}.items():
                np.save(unfinished / f"{file}.npy", array)
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return VectorSet(folder, metric)


def exact(
    base: Floats, query: Floats, metric: Metric, allowed: NDArray[np.bool_] | None = None
) -> NDArray[np.int32]:
    """`[queries, 100]` rows of the best vectors, found by looking at all of them."""
    index = BruteForce(base.shape[1], metric=metric).fit(np.arange(len(base)), base)
    parts = np.array_split(query, -(-len(query) // TRUTH_PART))
    return np.concatenate([index.search(part, TRUTH, where=allowed).ids for part in parts]).astype(np.int32)


def unit(vectors: Floats) -> Floats:
    """The vectors brought to length 1."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(lengths, np.float32(1e-12))


def replicated(vectors: Floats, rows: int, *, noise: float = 0.1, seed: int = 0) -> Floats:
    """A larger set from a small one: every vector many times, each time with its own noise.

    Args:
        vectors: `[n, dim]`.
        rows: how many to make.
        noise: length of the noise, as a share of the vector's own.
        seed: of the noise and of the order.

    Returns:
        `[rows, dim]`, in random order.
    """
    rng = np.random.default_rng(seed)
    copies = vectors[rng.permutation(rows) % len(vectors)]
    lengths = np.linalg.norm(copies, axis=1, keepdims=True)
    scale = np.float32(noise / np.sqrt(vectors.shape[1])) * lengths
    return copies + scale * rng.standard_normal(copies.shape, dtype=np.float32)


def clustered(rows: int, dim: int, *, clusters: int, spread: float, seed: int) -> tuple[Floats, Floats]:
    """Gaussian clusters whose sizes follow a power law, as do the variances of their axes.

    Args:
        rows: how many vectors.
        dim: their width.
        clusters: how many centres.
        spread: standard deviation within a cluster, as a share of that of the centres.
        seed: of everything.

    Returns:
        `[rows, dim]` vectors and `[10000, dim]` queries of the same distribution.
    """
    rng = np.random.default_rng(seed)
    spectrum = ((1 + np.arange(dim)) ** -0.5).astype(np.float32)
    rotation = np.linalg.qr(rng.standard_normal((dim, dim)))[0].astype(np.float32)
    centres = rng.standard_normal((clusters, dim), dtype=np.float32) * spectrum
    sizes = (3.0 + np.arange(clusters)) ** -0.9
    member = rng.choice(clusters, rows + 10_000, p=sizes / sizes.sum())
    within = rng.standard_normal((len(member), dim), dtype=np.float32) * spectrum
    points = (centres[member] + np.float32(spread) * within) @ rotation
    return points[:rows], points[rows:]


def clustered_l2(rows: int) -> tuple[Floats, Floats]:
    """128 wide, 1,000 clusters that overlap."""
    return clustered(rows, 128, clusters=1000, spread=0.7, seed=11)


def clustered_cosine(rows: int) -> tuple[Floats, Floats]:
    """384 wide and of length 1, in the place of sentence embeddings."""
    base, query = clustered(rows, 384, clusters=3000, spread=0.7, seed=12)
    return unit(base), unit(query)
