"""How leaves are found: each instruction set's clustering, by what clusters must be."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.reference import leaf_scores

from shortlist.index.leaves import LeafPlan, lay_out
from shortlist.kernels.leaf_codes import Frame, assign_leaves, train_leaves
from shortlist.kernels.leaves import search_parts


def gaussian(n: int, dim: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.standard_normal((n, dim)).astype(np.float32)


@pytest.mark.parametrize(("n", "leaves", "dim"), [(1, 1, 1), (40, 40, 5), (500, 17, 3), (2000, 33, 24)])
def test_each_vector_is_assigned_to_its_nearest_centroid_up_to_rounding(
    instructions: str, n: int, leaves: int, dim: int
) -> None:
    rng = np.random.default_rng(n)
    vectors, centroids = gaussian(n, dim, rng), gaussian(leaves, dim, rng)
    origin = gaussian(1, dim, rng)[0]
    chosen = assign_leaves(vectors + origin, centroids, origin=origin, threads=1)
    distances = np.square(vectors[:, None].astype(np.float64) - centroids).sum(2)
    taken, least = distances[np.arange(n), chosen], distances.min(1)
    # Each code is off by at most half a step, the query's and the row's.
    coarse = leaf_scores.QUERY_RANGE[instructions]
    largest = np.abs(vectors).max(1) * np.abs(centroids).sum(1).max()
    largest += np.abs(vectors).sum(1) * np.abs(centroids).max()
    assert (taken - least <= 2 * largest / coarse).all()
    assert (taken == least).mean() > 0.8


def test_training_brings_vectors_nearer_to_their_centroids(instructions: str) -> None:
    rng = np.random.default_rng(7)
    centres = 4 * rng.standard_normal((20, 8))
    vectors = (centres[rng.integers(0, 20, 1500)] + rng.standard_normal((1500, 8))).astype(np.float32)
    vectors += (origin := 50 * gaussian(1, 8, rng)[0])
    members = np.flatnonzero(rng.random(1500) < 0.8).astype(np.uint32)

    def cost(iterations: int) -> float:
        means, leaf_of = train_leaves(
            vectors, members, 20, origin=origin, iterations=iterations, seed=1, threads=1
        )
        return float(np.square(vectors[members] - origin - means[leaf_of]).sum(1).mean())

    first, last = cost(0), cost(8)
    assert last < 0.8 * first
    assert last < 2.2 * 8  # the clusters' own variance, one in each of 8 dimensions, is 8


@pytest.mark.parametrize("kind", ["constant", "zero", "tied"])
def test_training_ends_where_vectors_are_the_same_and_leaves_stay_empty(kind: str) -> None:
    rng = np.random.default_rng(3)
    vectors = gaussian(100, 6, rng)
    vectors *= kind != "zero"
    vectors = vectors[np.zeros(100, int) if kind == "constant" else rng.integers(0, 5, 100)]
    members = np.arange(100, dtype=np.uint32)
    origin = gaussian(1, 6, rng)[0]
    means, leaf_of = train_leaves(vectors, members, 50, origin=origin, iterations=8, seed=0, threads=1)
    assert np.isfinite(means).all()
    assert leaf_of.max() < 50
    np.testing.assert_allclose(means[leaf_of] + origin, vectors, rtol=1e-5, atol=1e-6)


def test_threads_change_neither_training_nor_codes_nor_results() -> None:
    rng = np.random.default_rng(5)
    vectors = gaussian(20_000, 32, rng)
    members = np.arange(20_000, dtype=np.uint32)
    train = partial(train_leaves, vectors, members, 60, origin=np.zeros(32, np.float32), iterations=2)
    one, two = train(seed=3, threads=1), train(seed=3, threads=2)
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    other = train(seed=4, threads=1)
    assert (one[1] != other[1]).any()
    plan = LeafPlan(Frame(np.zeros(32, np.float32)), one[0], np.zeros(60, np.float32), "dot")
    parts = [lay_out(vectors, one[1], plan, labels=None, threads=threads) for threads in (1, 2)]
    np.testing.assert_array_equal(parts[0].rows.codes, parts[1].rows.codes)
    queries = gaussian(600, 32, rng)
    found = [
        search_parts(parts[:1], queries, 10, metric="dot", effort=900, keep=18, threads=threads)
        for threads in (1, 2)
    ]
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
