"""One measurement of one configuration of one index; ours and the peers' are timed by this same code.

The peers' interpreters import this file too, so it needs numpy alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WARM_UP = 50  # queries, before those that are timed one at a time


class Measurement(NamedTuple):
    """What a configuration does.

    Args:
        recall: share of the true best k that was found.
        qps: queries a second; of the median query when they are asked one at a time.
        p50: median microseconds of a query asked alone; 0 for a batch.
        p99: the 99th percentile, likewise.
    """

    recall: float
    qps: float
    p50: float = 0.0
    p99: float = 0.0


def measure(
    search: Callable[[NDArray[np.float32]], NDArray[Any]],
    queries: NDArray[np.float32],
    truth: NDArray[Any],
    *,
    single: bool,
) -> Measurement:
    """Ask all the queries, at once or one by one.

    Args:
        search: returns the rows found: for `[batch, dim]` queries `[batch, k]`, for a `[dim]` query `[k]`.
        queries: `[count, dim]`.
        truth: `[count, k]` the true best rows.
        single: whether to ask one query at a time.
    """
    if not single:
        started = time.perf_counter()
        found = search(queries)
        seconds = time.perf_counter() - started
        return Measurement(recall(found, truth), len(queries) / seconds)
    for query in queries[:WARM_UP]:
        search(query)
    found = np.full(truth.shape, -1, np.int64)
    taken = np.empty(len(queries))
    for number, query in enumerate(queries):
        started = time.perf_counter()
        rows = search(query)
        taken[number] = time.perf_counter() - started
        found[number, : len(rows)] = rows
    p50, p99 = (float(each) for each in np.percentile(taken * 1e6, (50, 99)))
    return Measurement(recall(found, truth), 1e6 / p50, p50, p99)


def recall(found: NDArray[Any], truth: NDArray[Any]) -> float:
    """Share of the true best rows among those found.

    Args:
        found: `[count, k]`, -1 where nothing was found; a row that repeats counts once.
        truth: `[count, k]`, distinct within a query.
    """
    return float((truth[:, :, None] == found[:, None, :]).any(axis=2).mean())
