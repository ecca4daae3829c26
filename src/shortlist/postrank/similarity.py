"""How alike the candidates of one list are, one picked candidate at a time."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from shortlist.data.catalogue import Catalogue
from shortlist.errors import ConfigError
from shortlist.postrank.columns import item_groups
from shortlist.postrank.grid import Grid
from shortlist.postrank.slots import ValueSlots


class Similarity(Protocol):
    """Similarities in [0, 1] between a picked candidate of each list and the whole list."""

    def to(self, picked: Tensor) -> Tensor:
        """Compare.

        Args:
            picked: `[batch]` int64, a column of the grid in each row.

        Returns:
            `[batch, width]` float64.
        """
        ...


class CosineSimilarity:
    """Cosine of item vectors; an item whose vector is zero resembles nothing.

    Args:
        grid: the lists.
        vectors: `[num_items + 1, dim]`.
        shifted: `(1 + cosine) / 2`, which stays positive semi-definite as a determinant needs; otherwise
            `max(cosine, 0)`, where items that have nothing in common have 0.
    """

    def __init__(self, grid: Grid, vectors: Tensor, *, shifted: bool) -> None:
        items = grid.candidates.items.values
        units = torch.nn.functional.normalize(vectors[items.to(vectors.device)].float(), dim=1)
        self.units = grid.pad(units.to(items.device))
        self.shifted = shifted

    def to(self, picked: Tensor) -> Tensor:
        """Compare; O(candidates x dim) a list."""
        rows = torch.arange(len(picked), device=picked.device)
        # A batched matrix product is faster but rounds differently with the shape of the batch, and a
        # request's list must not depend on its neighbours.
        cosine = (self.units * self.units[rows, picked][:, None]).sum(-1).double()
        return ((1 + cosine) / 2 if self.shifted else cosine).clamp(0, 1)


class JaccardSimilarity:
    """Values in common over values in either; an item without a value resembles nothing.

    Args:
        grid: the lists.
        catalogue: holds the column.
        column: of values or lists of values.
    """

    def __init__(self, grid: Grid, catalogue: Catalogue, column: str) -> None:
        self.grid = grid
        self.slots = ValueSlots.of(grid.candidates, item_groups(catalogue, column))

    def to(self, picked: Tensor) -> Tensor:
        """Compare; O(candidates x values an item) a list."""
        grid, slots = self.grid, self.slots
        is_picked = grid.columns == picked[grid.rows]
        marked = torch.zeros(slots.num_slots, dtype=torch.bool, device=picked.device)
        marked[slots.slot[is_picked[slots.candidate]]] = True
        common = slots.count(marked[slots.slot])
        sizes = torch.zeros_like(picked).index_add_(0, grid.rows[is_picked], slots.counts[is_picked])
        either = slots.counts + sizes[grid.rows] - common
        return grid.pad(common.double() / either.clamp(min=1))


def similarity_for(grid: Grid, catalogue: Catalogue, *, by: str | None, shifted: bool) -> Similarity:
    """Choose between vectors and a column.

    Args:
        grid: the lists.
        catalogue: has the vectors or the column.
        by: a column; None for the vectors.
        shifted: see `CosineSimilarity`.

    Raises:
        ConfigError: there is no column named and the catalogue has no vectors.
    """
    if by is not None:
        return JaccardSimilarity(grid, catalogue, by)
    if catalogue.vectors is None:
        columns = ", ".join(repr(name) for name in catalogue.columns[:10])
        advice = f'name a column, such as by="genres" (there are {columns})'
        raise ConfigError(
            "there is nothing to compare items by: the catalogue has no item vectors and no column is named",
            where="Diversity",
            remedy=f"use a retriever with item embeddings, or {advice}",
        )
    return CosineSimilarity(grid, catalogue.vectors, shifted=shifted)
