"""Lists in the order of their scores, and what ties between scores mean."""

from __future__ import annotations

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.errors import DataError, ShapeError


class ScoredOrder:
    """The items of all lists, each list by falling score; equal scores by rising label, so no tie flatters.

    Args:
        scores: lists of `[total]` finite scores.
        labels: `[total]` or `[total, subtopics]`, finite and 0 or more.
        item_weights: `[total]` finite and 0 or more; an item of weight 0 is not there at all. None for 1.

    Raises:
        DataError: a score is not a number, or a label or weight is negative or not a number.
        ShapeError: the arguments do not fit together.
    """

    def __init__(self, scores: Ragged, labels: Tensor, item_weights: Tensor | None = None) -> None:
        _check(scores, labels, item_weights)
        values, marks = scores.values.detach(), labels.detach().double()
        rows = scores.row_ids()
        weights = torch.ones(len(rows), dtype=torch.float64, device=rows.device)
        if item_weights is not None:
            weights = item_weights.detach().double()
            counted = weights > 0
            values, marks, rows, weights = values[counted], marks[counted], rows[counted], weights[counted]
        order = (marks if marks.ndim == 1 else marks.sum(dim=1)).argsort(stable=True)
        order = order[values[order].argsort(descending=True, stable=True)]
        order = order[rows[order].argsort(stable=True)]
        self.num_lists = len(scores)
        self.rows, self.labels, self.weights = rows[order], marks[order], weights[order]
        self.lengths = torch.bincount(self.rows, minlength=self.num_lists)
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.scores = values[order]
        self.ranks = torch.arange(1, len(order) + 1, device=rows.device) - self.starts[self.rows]
        self._group()

    def total(self, values: Tensor) -> Tensor:
        """The sum of each list's values.

        Args:
            values: `[items, ...]` float64.

        Returns:
            `[lists, ...]`.
        """
        return values.new_zeros(self.num_lists, *values.shape[1:]).index_add_(0, self.rows, values)

    def before(self, values: Tensor) -> Tensor:
        """The sum of the values of the items that stand before each item in its list.

        Args:
            values: `[items, ...]` float64.

        Returns:
            `[items, ...]`.
        """
        running = torch.cat([values.new_zeros(1, *values.shape[1:]), values.cumsum(0)])
        return running[:-1] - running[self.starts[self.rows]]

    def shared(self, values: Tensor) -> Tensor:
        """Each item's value as the mean over the items that tie with it: its expectation under random order.

        Args:
            values: `[items]` float64.

        Returns:
            `[items]`.
        """
        sums = values.new_zeros(self.num_groups).index_add_(0, self.groups, values)
        return (sums / self.group_sizes)[self.groups]

    def group_total(self, values: Tensor) -> Tensor:
        """The sum over the items that tie with each item.

        Args:
            values: `[items]` float64.

        Returns:
            `[items]`.
        """
        return values.new_zeros(self.num_groups).index_add_(0, self.groups, values)[self.groups]

    def before_group(self, values: Tensor) -> Tensor:
        """The sum of the values of the items that score higher than each item of its list.

        Args:
            values: `[items]` float64.

        Returns:
            `[items]`.
        """
        firsts = self.group_sizes.cumsum(0) - self.group_sizes
        return self.before(values)[firsts][self.groups]

    def place_in_group(self) -> Tensor:
        """`[items]` int64 how manieth an item is among those that tie with it, from 1."""
        firsts = self.group_sizes.cumsum(0) - self.group_sizes
        return torch.arange(1, len(self.rows) + 1, device=self.rows.device) - firsts[self.groups]

    def ideal_order(self, gains: Tensor) -> Tensor:
        """Positions that put each list in the order of falling gains.

        Args:
            gains: `[items]`.

        Returns:
            `[items]` int64; the item of rank r is then at the position of the present item of rank r.
        """
        order = gains.argsort(descending=True, stable=True)
        return order[self.rows[order].argsort(stable=True)]

    def _group(self) -> None:
        new = torch.ones(len(self.rows), dtype=torch.bool, device=self.rows.device)
        new[1:] = (self.rows[1:] != self.rows[:-1]) | (self.scores[1:] != self.scores[:-1])
        self.groups = new.cumsum(0) - 1
        self.num_groups = int(new.sum())
        self.group_sizes = torch.bincount(self.groups, minlength=self.num_groups)


def _check(scores: Ragged, labels: Tensor, item_weights: Tensor | None) -> None:
    total = len(scores.values)
    if scores.values.ndim != 1 or labels.shape[:1] != (total,) or labels.ndim > 2:
        raise ShapeError(
            f"labels are {tuple(labels.shape)} for scores of shape {tuple(scores.values.shape)}",
            remedy="pass one score and one label an item",
        )
    if item_weights is not None and item_weights.shape != (total,):
        raise ShapeError(
            f"item_weights are {tuple(item_weights.shape)} for {total} items",
            remedy="pass one weight an item",
        )
    if bool(scores.values.isnan().any()):
        raise DataError("a score is not a number", remedy="look for a feature that is NaN")
    for name, values in (("label", labels), ("item weight", item_weights)):
        if values is not None and not bool(((values >= 0) & (values < torch.inf)).all()):
            wrong = values[~((values >= 0) & (values < torch.inf))][0]
            raise DataError(
                f"a {name} is {float(wrong):g}",
                remedy=f"{name}s must be finite and 0 or more; leave padding and unlabelled items out",
            )
