"""`recsys`: item and user vectors as trained two-tower and factorisation models give them.

The generative model, with all sizes in units of a typical item's norm:

- 48 genres, 5,000 clusters that each belong to one; sizes follow a power law (the largest has about 2 %).
- Every direction has a spectrum that falls as a power law over the 64 axes, rotated at random: trained
  factors have such a spectrum and no preferred axis.
- An item's direction is its cluster's centre, variation along the cluster's own 6 directions, and noise.
- Popularity is log-normal, with an effect of the cluster. Norms are heavy-tailed and grow with it, and
  popular items lean towards one common direction, as biases do that a factor model has absorbed.
- A user mixes 1 to 5 clusters, drawn by the root of their popularity, with a taste within each, noise, and a
  random share of the common direction; length 1, which changes no ranking.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.ann_data import Floats, unit

GENRES, CLUSTERS, RANK, DIM = 48, 5000, 6, 64
SEED, BLOCK = 20260101, 100_000
ROOT_DIM = np.sqrt(DIM).astype(np.float32)


class World(NamedTuple):
    """What items and users share.

    Args:
        rng: the next random numbers; their order is part of the model.
        spectrum: `[dim]` standard deviations of the axes.
        rotation: `[dim, dim]`.
        centres: `[clusters, dim]`.
        basis: `[clusters, rank, dim]`, the directions that a cluster varies in.
    """

    rng: np.random.Generator
    spectrum: Floats
    rotation: Floats
    centres: Floats
    basis: Floats

    def draw(self, *shape: int) -> Floats:
        """`[*shape, dim]` directions."""
        return _draw(self.rng, self.spectrum, *shape)

    def variation(self, clusters: np.ndarray) -> Floats:
        """`[n, dim]` variation within the given clusters."""
        weights = self.rng.standard_normal((len(clusters), RANK), dtype=np.float32)
        return np.einsum("ir,ird->id", weights, self.basis[clusters])

    def noise(self, count: int) -> Floats:
        """`[count, dim]` isotropic noise of length about 1."""
        return self.rng.standard_normal((count, DIM), dtype=np.float32) / ROOT_DIM


def recsys(items: int, *, users: int = 10_000) -> tuple[Floats, Floats]:
    """Make the set.

    Args:
        items: how many.
        users: how many queries.

    Returns:
        `[items, 64]` item vectors in random order and `[users, 64]` user vectors.
    """
    world = _world()
    sizes = 1.0 / (3 + np.arange(CLUSTERS)) ** 0.9
    member = np.sort(world.rng.choice(CLUSTERS, items, p=sizes / sizes.sum()))
    cluster_effect = world.rng.standard_normal(CLUSTERS).astype(np.float32) * 0.5
    popularity = 1.4 * world.rng.standard_normal(items, dtype=np.float32) + cluster_effect[member]
    common = unit(world.draw(1))[0]
    vectors = _items(world, member, popularity, common)
    mass = np.bincount(member, weights=np.exp(np.minimum(popularity, 8)), minlength=CLUSTERS) ** 0.5
    queries = _users(world, users, mass / mass.sum(), common)
    order = world.rng.permutation(items)
    return (vectors @ world.rotation)[order], unit(queries) @ world.rotation


def _world() -> World:
    rng = np.random.default_rng(SEED)
    spectrum = ((1 + np.arange(DIM)) ** -0.6).astype(np.float32)
    spectrum /= np.linalg.norm(spectrum)
    rotation = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0].astype(np.float32)
    genres = _draw(rng, spectrum, GENRES)
    share = 1.0 / (1 + np.arange(GENRES)) ** 0.5
    genre = rng.choice(GENRES, CLUSTERS, p=share / share.sum())
    centres = genres[genre] * 0.8 + 0.75 * _draw(rng, spectrum, CLUSTERS)
    basis = _draw(rng, spectrum, CLUSTERS, RANK) / np.sqrt(RANK).astype(np.float32)
    return World(rng, spectrum, rotation, centres, basis)


def _draw(rng: np.random.Generator, spectrum: Floats, *shape: int) -> Floats:
    return rng.standard_normal((*shape, DIM), dtype=np.float32) * spectrum


def _items(world: World, member: np.ndarray, popularity: Floats, common: Floats) -> Floats:
    vectors = np.empty((len(member), DIM), np.float32)
    for start in range(0, len(member), BLOCK):  # bounds the memory; its size is part of the random order
        clusters = member[start : start + BLOCK]
        within = 0.55 * world.variation(clusters)
        mixed = world.centres[clusters] + within + 0.30 * world.noise(len(clusters))
        vectors[start : start + BLOCK] = unit(mixed + 0.25 * world.draw(len(clusters)))
    standard = (popularity - popularity.mean()) / popularity.std()
    vectors += (0.15 * np.maximum(standard, 0))[:, None] * common
    norms = np.exp(0.16 * standard + 0.06 * world.rng.standard_normal(len(member), dtype=np.float32))
    return unit(vectors) * norms[:, None]


def _users(world: World, count: int, share: np.ndarray, common: Floats) -> Floats:
    users = np.zeros((count, DIM), np.float32)
    for user in range(count):
        mixed = world.rng.integers(1, 6)
        clusters = world.rng.choice(CLUSTERS, mixed, replace=False, p=share)
        weights = world.rng.dirichlet(np.full(mixed, 0.8)).astype(np.float32)
        users[user] = weights @ unit(world.centres[clusters] + 0.55 * world.variation(clusters))
    users = unit(users) + 0.35 * world.noise(count) + 0.2 * world.draw(count)
    users += (0.15 * world.rng.random(count, dtype=np.float32))[:, None] * common
    return users
