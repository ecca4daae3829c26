"""The peers' half of `ann`, run by the peers' own interpreter, a process for each library.

Started as `python -m benchmarks.ann_peers LIBRARY FOLDER METRIC`. It builds the library's indexes over the
set in the folder and writes their seconds as a line of JSON. Then it answers each line of JSON with another.
A task, `{"k", "where", ...}`, is answered with the families of configurations: all is fixed but one knob,
which has a ladder. A task with `"family"`, `"knob"` and `"count"` is answered with what one search, by one
thread, measured.
"""

from __future__ import annotations

import json
import math
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ann_measure import measure

THREADS = 2  # of a build; searches have one
REORDER = (34, 21, 13, 8, 5, 3)  # candidates scored exactly, as multiples of k; what reaches most comes first
POINTS_A_LIST = 64  # that FAISS's lists are trained on; with all of a million it takes minutes
OVERFETCH = (1.15, 1.3, 1.6, 2.2)  # candidates asked for, as multiples of k / selectivity


class Scann:
    """ScaNN: a tree, asymmetric hashing, exact reordering; several builds of different fineness."""

    def __init__(self, base: np.ndarray, metric: str) -> None:
        import scann

        self.leaves = round(2 * math.sqrt(len(base)))
        dot = metric != "l2"  # the score-aware parts are for inner products only
        builds: dict[str, tuple[int, dict[str, float]]] = {"2 dims": (2, {}), "1 dim": (1, {})}
        if dot:
            builds = {
                "2 dims, AVQ, SOAR": (2, {"avq": 2.5, "soar_lambda": 1.5}),
                "1 dim, AVQ": (1, {"avq": 2.5}),
                "2 dims, AVQ": (2, {"avq": 2.5}),
            }
        self.seconds, self.built = {}, {}
        for name, (dims, tree) in builds.items():
            started = time.perf_counter()
            builder = scann.scann_ops_pybind.builder(base, 10, "dot_product" if dot else "squared_l2")
            builder.tree(self.leaves, 100, training_sample_size=min(len(base), 250_000), **tree)
            builder.score_ah(dims, anisotropic_quantization_threshold=0.2 if dot else float("nan"))
            self.built[name] = builder.reorder(100).build()
            self.seconds[name] = time.perf_counter() - started

    def families(self, k: int) -> list[dict[str, Any]]:
        """The builds with each number of reordered candidates; the knob is the leaves searched."""
        ladder = [1, self.leaves]
        return [
            {"build": build, "depth": k * factor, "ladder": ladder}
            for build in self.built
            for factor in REORDER
        ]

    def search(self, family: dict[str, Any], knob: int, k: int, queries: np.ndarray) -> np.ndarray:
        """Rows found."""
        index = self.built[family["build"]]
        search = index.search if queries.ndim == 1 else index.search_batched
        rows: np.ndarray = search(queries, k, max(k, family["depth"]), knob)[0]
        return rows


class Faiss:
    """FAISS: inverted lists, 4-bit product quantisation in registers, exact refinement."""

    def __init__(self, base: np.ndarray, metric: str) -> None:
        import faiss

        self.faiss = faiss
        faiss.omp_set_num_threads(THREADS)
        self.lists = round(4 * math.sqrt(len(base)))
        kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        codes = "4fs" if metric == "l2" else "4fsr"  # r: of the residuals, which distances pay for dearly
        name = f"IVF{self.lists},PQ{base.shape[1] // 2}x{codes},RFlat"
        started = time.perf_counter()
        index = faiss.index_factory(base.shape[1], name, kind)
        sample = np.random.default_rng(0).permutation(len(base))[: self.lists * POINTS_A_LIST]
        index.train(base[np.sort(sample)])
        index.add(base)
        self.built, self.seconds = {name: index}, {name: time.perf_counter() - started}
        faiss.omp_set_num_threads(1)
        self.parameters: dict[tuple[int, int], Any] = {}  # made once, not within a timed search

    def families(self, k: int) -> list[dict[str, Any]]:
        """Each number of refined candidates; the knob is the lists probed."""
        ladder = [1, self.lists]
        return [
            {"build": build, "depth": factor, "ladder": ladder} for build in self.built for factor in REORDER
        ]

    def search(self, family: dict[str, Any], knob: int, k: int, queries: np.ndarray) -> np.ndarray:
        """Rows found."""
        chosen = family["depth"], knob
        if chosen not in self.parameters:
            lists = self.faiss.SearchParametersIVF(nprobe=knob)
            refine = self.faiss.IndexRefineSearchParameters(k_factor=chosen[0], base_index_params=lists)
            self.parameters[chosen] = refine
        index = self.built[family["build"]]
        rows: np.ndarray = index.search(np.atleast_2d(queries), k, params=self.parameters[chosen])[1]
        return rows if queries.ndim == 2 else rows[0]


class Lorann:
    """LoRANN: clusters with a reduced-rank score each, eight bits, exact re-ranking."""

    def __init__(self, base: np.ndarray, metric: str) -> None:
        import lorann

        self.clusters = 2 ** round(math.log2(math.sqrt(len(base))))
        dim = base.shape[1]
        self.built, self.seconds = {}, {}
        for rank in (16, 32):
            started = time.perf_counter()
            index = lorann.LorannIndex(
                base,
                self.clusters,
                None if dim < 200 else 128,
                rank=rank,
                distance=lorann.L2 if metric == "l2" else lorann.IP,
            )
            index.build(n_threads=THREADS)
            self.built[f"rank {rank}"] = index
            self.seconds[f"rank {rank}"] = time.perf_counter() - started

    def families(self, k: int) -> list[dict[str, Any]]:
        """The ranks with each number of re-ranked points; the knob is the clusters searched."""
        ladder = [1, self.clusters]
        return [
            {"build": build, "depth": k * factor, "ladder": ladder}
            for build in self.built
            for factor in REORDER
        ]

    def search(self, family: dict[str, Any], knob: int, k: int, queries: np.ndarray) -> np.ndarray:
        """Rows found."""
        index = self.built[family["build"]]
        rows: np.ndarray = index.search(queries, k, knob, family["depth"], n_threads=1)
        return rows


class Hnswlib:
    """hnswlib: a graph of small worlds, 16 links, built with 200 candidates."""

    def __init__(self, base: np.ndarray, metric: str) -> None:
        import hnswlib

        started = time.perf_counter()
        self.index = hnswlib.Index(space="l2" if metric == "l2" else "ip", dim=base.shape[1])
        self.index.init_index(len(base), M=16, ef_construction=200)
        self.index.add_items(base, num_threads=THREADS)
        self.index.set_num_threads(1)
        self.seconds = {"M 16": time.perf_counter() - started}

    def families(self, k: int) -> list[dict[str, Any]]:
        """One; the knob is the candidates kept during a search."""
        return [{"build": "M 16", "depth": 0, "ladder": [k, 100 * k]}]

    def search(self, family: dict[str, Any], knob: int, k: int, queries: np.ndarray) -> np.ndarray:
        """Rows found."""
        self.index.set_ef(knob)
        rows: np.ndarray = self.index.knn_query(queries, k, num_threads=1)[0]
        return rows if queries.ndim == 2 else rows[0]


LIBRARIES = {"scann": Scann, "faiss": Faiss, "lorann": Lorann, "hnswlib": Hnswlib}


def filtered_families(families: list[dict[str, Any]], k: int, share: float) -> list[dict[str, Any]]:
    """The builds of some families, asked for so many candidates that k allowed ones are among them."""
    first = {family["build"]: family for family in families}.values()
    return [
        family | {"fetch": math.ceil(k / share * more), "depth": math.ceil(k / share * more * deeper)}
        for family in first
        for more in OVERFETCH
        for deeper in (1, 2)
    ]


def drop_forbidden(rows: np.ndarray, allowed: np.ndarray, k: int) -> np.ndarray:
    """The first k allowed rows of each answer, -1 where there are fewer.

    Args:
        rows: `[batch, fetched]` rows found, best first.
        allowed: `[n]` the filter.
        k: how many to keep.
    """
    kept = allowed[rows]
    place = np.cumsum(kept, axis=1) - 1
    query, column = np.nonzero(kept & (place < k))
    first = np.full((len(rows), k), -1, np.int64)
    first[query, place[query, column]] = rows[query, column]
    return first


def main() -> None:
    """Build, then answer until the input ends."""
    library, folder, metric = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    base, queries = np.load(folder / "base.npy"), np.load(folder / "query.npy")
    peer = LIBRARIES[library](base, metric)
    answer(peer.seconds)
    for line in sys.stdin:
        asked = json.loads(line)
        k, where, count = asked["k"], asked["where"], asked["count"]
        allowed = np.load(folder / f"{where}.npy") if where else None
        if "family" not in asked:
            families = peer.families(k)
            answer(families if allowed is None else filtered_families(families, k, float(allowed.mean())))
            continue
        truth = np.load(folder / (f"gt_{where}.npy" if where else "gt_ids.npy"), mmap_mode="r")
        search = partial(search_once, peer, asked["family"], asked["knob"], k, allowed)
        answer(measure(search, queries[:count], truth[:count, :k], single=asked["single"])._asdict())


def search_once(
    peer: Any, family: dict[str, Any], knob: int, k: int, allowed: np.ndarray | None, queries: np.ndarray
) -> np.ndarray:
    """The best rows, with a filter the best of the allowed among more that are fetched."""
    rows: np.ndarray = peer.search(family, knob, family.get("fetch", k), queries)
    return rows if allowed is None else drop_forbidden(rows, allowed, k)


def answer(value: Any) -> None:
    """Write a line of JSON."""
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
