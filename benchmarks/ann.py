"""Approximate search: `shortlist.index.Approximate` beside ScaNN, FAISS, LoRANN and hnswlib.

Every library is swept over its own knobs, on the same vectors, and the best configuration of each at a recall
runs in turn with ours. All search with one thread, and a batch is all the queries in one call.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.ann_contenders import BUILD_THREADS, Contender, Ours, Task, peers_over
from benchmarks.ann_curves import fitted_exponent
from benchmarks.ann_data import VectorSet, clustered_cosine, clustered_l2, exact, prepared
from benchmarks.ann_measure import Measurement, recall
from benchmarks.ann_race import Choice, best_choices, race, repeated
from benchmarks.ann_recsys import recsys
from benchmarks.ann_trained import als_gowalla, two_tower_gowalla, two_tower_ml1m
from benchmarks.harness import Figure
from shortlist.index import Approximate
from shortlist.kernels import kernels_in_use, use_kernels

RECALLS = (0.90, 0.95, 0.99)
LIBRARIES = ("scann", "faiss", "lorann")
GRAPHS_TO = 150_000  # items up to which hnswlib takes part: its build takes minutes beyond
REPEATS = 5
BATCH, BATCH_K100 = Task(), Task(k=100, sample=400)
QUICK_BATCH = Task(sample=500, count=4_000)
SINGLE = Task(single=True, sample=500, count=2_000)
SHARES = {"filter10": 0.1, "filter1": 0.01}
SIZES = {"100k": 100_000, "1M": 1_000_000, "4M": 4_000_000}
ROWS = 1_000_000  # of the two-tower sets
REPLACED_QUERIES = 2_000


def run(*, quick: bool) -> list[Figure]:
    """All figures; `quick` compares with ScaNN alone on 100,000 items, for which there are no targets."""
    if quick:
        return [replace(figure, target=None) for figure in _quick()]
    return [*_recsys(), *_real(), *_other_metrics()]


def _quick() -> Iterator[Figure]:
    vectors = _recsys_set("100k")
    where = vectors.add_filter(SHARES["filter10"])
    ours = Ours(vectors)
    with peers_over(vectors, ["scann"]) as peers:
        contenders: list[Contender] = [ours, *peers]
        yield from _compare("recsys_batch", contenders, QUICK_BATCH, dict.fromkeys(RECALLS))
        yield from _compare("recsys_single", contenders, SINGLE, {0.95: None})
        yield from _filtered("filter10", contenders, where)
        yield from _build_seconds(contenders)
    yield from _memory(ours)


def _recsys() -> Iterator[Figure]:
    """The synthetic set: everything that the index promises."""
    vectors = _recsys_set("1M")
    filters = {name: vectors.add_filter(share) for name, share in SHARES.items()}
    ours = Ours(vectors)
    with peers_over(vectors, LIBRARIES) as peers:
        contenders: list[Contender] = [ours, *peers]
        yield from _compare("recsys_batch", contenders, BATCH, {0.90: 3.0, 0.95: 3.0, 0.99: 4.0})
        yield from _compare("recsys_k100", contenders, BATCH_K100, {0.90: None, 0.95: 2.0, 0.99: None})
        yield from _compare("recsys_single", contenders, SINGLE, dict.fromkeys(RECALLS, 2.0))
        for name, where in filters.items():
            yield from _filtered(name, contenders[:2], where)
        yield from _build_seconds(contenders)
    yield from _memory(ours)
    choice = best_choices(ours, BATCH, [0.95]).get(0.95)
    if choice is not None:
        yield from _two_threads(ours, choice)
        yield from _kernels(choice)
        yield _replaced(vectors, effort=choice.knob)
    del ours, choice
    yield from _compact(vectors)
    yield from _scaling()


def _real() -> Iterator[Figure]:
    """Vectors that models learnt; the ratio that counts is the smallest over the sets."""
    sets = {
        "als_gowalla": prepared("als-gowalla", als_gowalla),
        "two_tower_ml1m": prepared("two-tower-ml1m-1M", partial(two_tower_ml1m, ROWS)),
        "two_tower_gowalla": prepared("two-tower-gowalla-1M", partial(two_tower_gowalla, ROWS)),
    }
    figures = [figure for name, vectors in sets.items() for figure in _versus_all(name, vectors, None)]
    ratios = {figure.name: figure for figure in figures}
    smallest = min((ratios[f"{name}_batch_r95_vs_best"] for name in sets), key=lambda figure: figure.value)
    yield replace(smallest, name="real_batch_r95_vs_best", target=2.0)
    yield from figures


def _other_metrics() -> Iterator[Figure]:
    """Vectors of length 1, where norms say nothing, and distances."""
    cosine = prepared("cosine384-137k", partial(clustered_cosine, 137_000), metric="cosine")
    yield from _versus_all("cosine384", cosine, 1.0, single=True)
    yield from _versus_all("l2", prepared("l2-200k", partial(clustered_l2, 200_000), metric="l2"), 1.0)


def _versus_all(name: str, vectors: VectorSet, target: float | None, *, single: bool = False) -> list[Figure]:
    graphs = ["hnswlib"] if len(vectors.base) <= GRAPHS_TO else []
    ours = Ours(vectors)
    with peers_over(vectors, [*LIBRARIES, *graphs]) as peers:
        figures = list(_compare(f"{name}_batch", [ours, *peers], BATCH, dict.fromkeys(RECALLS, target)))
        if single:  # one query at a time, where a graph's few steps count
            figures += _compare(f"{name}_single", [ours, *peers], SINGLE, dict.fromkeys(RECALLS))
        return figures


def _compare(
    prefix: str, contenders: Sequence[Contender], task: Task, targets: dict[float, float | None]
) -> Iterator[Figure]:
    outcomes = race(contenders, task, list(targets), repeats=REPEATS)
    for wanted, outcome in outcomes.items():
        name = f"{prefix}_r{100 * wanted:.0f}"
        yield outcome.ratio(f"{name}_vs_best", targets[wanted])
        yield from outcome.speeds(name)


def _filtered(name: str, contenders: Sequence[Contender], where: str) -> Iterator[Figure]:
    """Recall@10 of 0.95 within a filter: ScaNN fetches more than k and drops what is not allowed."""
    task = Task(where=where, sample=500, count=2_000)
    for outcome in race(contenders, task, [0.95], repeats=REPEATS).values():
        yield outcome.ratio(f"{name}_vs_scann", 5.0)
        yield from outcome.speeds(name)


def _two_threads(ours: Ours, choice: Choice) -> Iterator[Figure]:
    def with_threads(threads: int) -> Measurement:
        ours.index.threads = threads
        return choice.run(BATCH)

    rounds = repeated({"one": partial(with_threads, 1), "two": partial(with_threads, 2)}, repeats=REPEATS)
    ours.index.threads = 1
    ratios = [two.qps / one.qps for one, two in zip(rounds["one"], rounds["two"], strict=True)]
    one, two = (_median_qps(rounds[name]) for name in ("one", "two"))
    yield Figure("two_threads", two / one, "over one", 1.85, spread=(min(ratios), max(ratios)))
    yield _speed("two_threads_r95_ours", rounds["two"])


def _kernels(choice: Choice) -> Iterator[Figure]:
    """The same configuration with the instruction sets that other processors have."""

    def with_kernels(name: str) -> Measurement:
        use_kernels(name)
        return choice.run(BATCH)

    best = kernels_in_use()
    names = [name for name in ("avx2", "portable") if name != best]
    try:
        rounds = repeated({name: partial(with_kernels, name) for name in names}, repeats=REPEATS)
    finally:
        use_kernels(best)
    for name, measured in rounds.items():
        yield _speed(f"recsys_batch_r95_ours_{name}", measured)


def _memory(ours: Ours) -> Iterator[Figure]:
    share = ours.bytes_per_item / (ours.vectors.base.shape[1] * 4)
    yield Figure("memory_vs_vectors", share, "of float32", 1.3, at_least=False)


def _replaced(vectors: VectorSet, *, effort: int) -> Figure:
    """The recall that an effort loses when half of the items get other vectors, in random order."""
    new, query = vectors.base, vectors.query[:REPLACED_QUERIES]
    changed = np.random.default_rng(0).permutation(len(new))[: len(new) // 2]
    old = new.copy()
    old[changed] = _recsys_set("4M").base[changed]  # the same model's, but others
    index = Approximate(new.shape[1], threads=BUILD_THREADS).fit(np.arange(len(old)), old)
    before = recall(index.search(query, 10, effort=effort).ids, exact(old, query, vectors.metric)[:, :10])
    for some in np.array_split(changed, 50):
        index.update(some, new[some])
    index.settle()
    after = recall(index.search(query, 10, effort=effort).ids, vectors.truth()[: len(query), :10])
    return Figure("replaced_half_recall_loss", before - after, "", 0.01, at_least=False)


def _compact(vectors: VectorSet) -> Iterator[Figure]:
    """Without float vectors: the recall at the least effort that reaches 0.95, or the best that there is."""
    ours = Ours(vectors, compact=True)
    yield Figure("compact_bytes_per_item", ours.bytes_per_item, "bytes", 80.0, at_least=False)
    choice = best_choices(ours, BATCH, [0.95]).get(0.95)
    if choice is None:
        family = ours.families(BATCH)[0]
        half = family.ladder[-1] // 2
        choice = Choice(ours, family, half, ours.measure(family, half, BATCH, count=BATCH.sample))
    yield Figure("compact_recall", choice.measured.recall, "", 0.95)
    yield Figure("compact_r95_ours", choice.measured.qps, "queries/s")


def _scaling() -> Iterator[Figure]:
    """How the time of a query grows with the number of items, at recall@10 0.95."""
    seconds = {}
    for size, items in SIZES.items():
        choice = best_choices(Ours(_recsys_set(size)), BATCH, [0.95]).get(0.95)
        if choice is None:
            continue
        rounds = repeated({size: partial(choice.run, BATCH)}, repeats=REPEATS)[size]
        seconds[items] = 1 / _median_qps(rounds)
        yield _speed(f"scaling_{size}_r95_ours", rounds)
    if len(seconds) == len(SIZES):
        exponent = fitted_exponent(list(seconds), list(seconds.values()))
        yield Figure("scaling_exponent", exponent, "", 0.6, at_least=False)


def _build_seconds(contenders: Sequence[Contender]) -> Iterator[Figure]:
    """Of ours, and of the quickest build of each library; with two threads."""
    for each in contenders:
        seconds = min(each.build_seconds.values())
        if each.name == "ours":
            yield Figure("build_seconds", seconds, "s", 20.0, at_least=False)
        else:
            yield Figure(f"build_seconds_{each.name}", seconds, "s")


def _recsys_set(size: str) -> VectorSet:
    return prepared(f"recsys-{size}", partial(recsys, SIZES[size]))


def _speed(name: str, rounds: Sequence[Measurement]) -> Figure:
    speeds = [each.qps for each in rounds]
    return Figure(name, statistics.median(speeds), "queries/s", spread=(min(speeds), max(speeds)))


def _median_qps(rounds: Sequence[Measurement]) -> float:
    return statistics.median(each.qps for each in rounds)
