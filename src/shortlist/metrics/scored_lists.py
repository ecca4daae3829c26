"""Metrics of whole lists that were scored and judged: learning to rank.

Where scores are equal, the metrics that are sums over ranks answer their expectation under a random order of
the tie; `expected_reciprocal_rank` and `bpref` put the worse item first.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from shortlist.data.list_blocks import list_blocks
from shortlist.data.ragged import Ragged, offsets_from_lengths
from shortlist.errors import DataError
from shortlist.metrics.scored_order import ScoredOrder
from shortlist.metrics.streaming import check_cutoffs

Transform = Callable[[Tensor], Tensor]


class ScoredLists:
    """Lists of scores with a label for each item; an item is relevant from label 1 on.

    Every method answers one number a list: NaN for a list without relevant items (without a label above 0 for
    the metrics of gains), whose metric is not defined. `k` cuts the lists off; None looks at all of them.

    Args:
        scores: lists of `[total]` scores.
        labels: `[total]`, 0 or more.
        item_weights: `[total]`, 0 or more; an item of weight 0 is not there. None for 1.

    Raises:
        DataError: a score is not a number, or a label or weight is negative or not a number.
        ShapeError: the arguments do not fit together.
    """

    def __init__(self, scores: Ragged, labels: Tensor, *, item_weights: Tensor | None = None) -> None:
        if labels.ndim != 1:
            raise DataError("labels have subtopics", remedy="use alpha_dcg or precision_ia for those")
        self._order = ScoredOrder(scores, labels, item_weights)
        self._relevant = (self._order.labels >= 1).double()
        self._num_relevant = self._order.total(self._relevant)

    def __len__(self) -> int:
        return self._order.num_lists

    def weights(self) -> Tensor:
        """How much each list should count in a mean, where its items have weights.

        Returns:
            `[lists]` float64 mean weight of the relevant items; NaN without any.
        """
        return self._order.total(self._order.weights * self._relevant) / self._num_relevant

    def dcg(
        self, *, k: int | None = None, gain: Transform | None = None, discount: Transform | None = None
    ) -> Tensor:
        """Discounted cumulative gain, `sum of weight * gain * discount` over the first k.

        Args:
            k: cut-off.
            gain: of labels, `2^label - 1` by default.
            discount: of ranks, `1 / log2(1 + rank)` by default.

        Returns:
            `[lists]` float64.
        """
        order, gains = self._order, self._gains(gain, relative=False)
        weighted = order.shared(gains * order.weights)
        return torch.where(order.total(gains) > 0, self._discounted(weighted, k, discount), torch.nan)

    def ndcg(
        self, *, k: int | None = None, gain: Transform | None = None, discount: Transform | None = None
    ) -> Tensor:
        """DCG over that of the best possible order.

        Args:
            k: cut-off.
            gain: of labels, `2^label - 1` by default, which no label makes overflow.
            discount: of ranks, `1 / log2(1 + rank)` by default.

        Returns:
            `[lists]` float64 in [0, 1].

        Source: Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques (2002); ties as in
        McSherry and Najork, Computing information retrieval performance measures efficiently (ECIR 2008).
        """
        order = self._order
        weighted = self._gains(gain, relative=True) * order.weights
        ideal = self._discounted(weighted[order.ideal_order(weighted)], k, discount)
        return self._discounted(order.shared(weighted), k, discount) / ideal

    def reciprocal_rank(self, *, k: int | None = None) -> Tensor:
        """One over the rank of the first relevant item, 0 if it is not among the first k; the mean is MRR.

        Args:
            k: cut-off.

        Returns:
            `[lists]` float64 in [0, 1].
        """
        chance, within = self._first_relevant(), self._within(k)
        return self._defined(self._order.total(chance * within / self._order.ranks))

    def hit_rate(self, *, k: int | None = None) -> Tensor:
        """Whether a relevant item is among the first k.

        Args:
            k: cut-off.

        Returns:
            `[lists]` float64 in [0, 1].
        """
        return self._defined(self._order.total(self._first_relevant() * self._within(k)))

    def precision(self, *, k: int | None = None) -> Tensor:
        """The share of the first k items that is relevant; a list shorter than k is not blamed for it.

        Args:
            k: cut-off.

        Returns:
            `[lists]` float64 in [0, 1].
        """
        lengths = self._order.lengths
        return self._defined(self._hits(k) / (lengths if k is None else lengths.clamp(max=k)))

    def recall(self, *, k: int | None = None) -> Tensor:
        """The share of the relevant items that is among the first k.

        Args:
            k: cut-off.

        Returns:
            `[lists]` float64 in [0, 1].
        """
        return self._hits(k) / self._num_relevant

    def average_precision(self, *, k: int | None = None) -> Tensor:
        """Precision at each relevant item of the first k, over all relevant items; the mean is MAP.

        Args:
            k: cut-off.

        Returns:
            `[lists]` float64 in [0, 1].
        """
        order, relevant = self._order, self._relevant
        tied = order.group_total(relevant)
        place = order.place_in_group().double()
        size = order.group_sizes[order.groups].double()
        # Of the relevant items that tie with one, so many are expected before it at its place in the tie.
        companions = (place - 1) * (tied - 1) / (size - 1).clamp(min=1)
        found = (
            order.shared(relevant * order.weights)
            * (order.before_group(relevant) + 1 + companions)
            / order.ranks
        )
        return order.total(found * self._within(k)) / order.total(relevant * order.weights)

    def average_relevance_position(self) -> Tensor:
        """The mean rank of the items, each counting by its label and its weight; the lower the better.

        Returns:
            `[lists]` float64, from 1.
        """
        order = self._order
        marks = order.labels * order.weights
        return order.total(order.shared(marks) * order.ranks) / order.total(marks)

    def ordered_pair_accuracy(self) -> Tensor:
        """The share of the pairs of a better and a worse item that stand in the right order; ties count half.

        Returns:
            `[lists]` float64 in [0, 1]; NaN where all labels are equal.
        """
        order = self._order
        right, total = (
            torch.zeros(len(self), dtype=torch.float64, device=order.rows.device) for _ in range(2)
        )
        for block in list_blocks(offsets_from_lengths(order.lengths), pairs=True):
            labels, scores = (block.take(values, fill=-1) for values in (order.labels, order.scores.double()))
            weights = block.take(order.weights, fill=0)
            pairs = (
                (labels[:, :, None] > labels[:, None, :]) * weights[:, :, None] * (labels >= 0)[:, None, :]
            )
            won = torch.sign(scores[:, :, None] - scores[:, None, :]).add_(1).mul_(0.5)
            right[block.lists] = (pairs * won).sum(dim=(1, 2))
            total[block.lists] = pairs.sum(dim=(1, 2))
        return right / total

    def expected_reciprocal_rank(self, *, k: int | None = None, highest_label: float = 4.0) -> Tensor:
        """`sum of (1 / rank) * P(a reader stops there)`, where the gain of an item makes the reader stop.

        Args:
            k: cut-off.
            highest_label: the best grade that there is, whose item stops a reader with `1 - 2^-label`.

        Returns:
            `[lists]` float64 in [0, 1].

        Raises:
            DataError: a label is above `highest_label`.

        Source: Chapelle et al., Expected reciprocal rank for graded relevance (CIKM 2009).
        """
        order = self._order
        if len(order.labels) and float(order.labels.max()) > highest_label:
            raise DataError(
                f"a label is {float(order.labels.max()):g} but highest_label is {highest_label:g}",
                remedy="pass the highest grade that the judges may give",
            )
        stops = (torch.exp2(order.labels) - 1) / 2**highest_label
        reached = order.before(torch.log1p(-stops)).exp()
        found = order.total(reached * stops * self._within(k) / order.ranks)
        return torch.where(order.total(order.labels) > 0, found, torch.nan)

    def bpref(self, *, k: int | None = None, trec: bool = True) -> Tensor:
        """How few of the items judged irrelevant stand before the relevant ones.

        Args:
            k: cut-off.
            trec: whether to divide by the smaller of the two classes, rather than by the relevant one.

        Returns:
            `[lists]` float64 in [0, 1].

        Source: Buckley and Voorhees, Retrieval evaluation with incomplete information (SIGIR 2004).
        """
        order, relevant = self._order, self._relevant
        most = self._num_relevant
        scale = torch.minimum(most, order.total(1 - relevant)) if trec else most
        above = torch.minimum(order.before(1 - relevant), most[order.rows])
        good = 1 - above / scale[order.rows].clamp(min=1)
        return order.total(good * relevant * self._within(k)) / most

    def position_weighted_average(self, *, k: int | None = None) -> Tensor:
        """The mean label of the first k items, each counting by one over its rank.

        Args:
            k: cut-off.

        Returns:
            `[lists]` float64; NaN for an empty list only.
        """
        order = self._order
        worth = self._within(k) / order.ranks
        return order.total(order.shared(order.labels) * worth) / order.total(worth)

    def _gains(self, gain: Transform | None, *, relative: bool) -> Tensor:
        labels = self._order.labels
        if gain is not None:
            return gain(labels)
        if not relative:
            return torch.exp2(labels) - 1
        # In units of 2^(the list's highest label): a ratio does not mind, and a label of 2,000 overflows.
        highest = labels.new_zeros(len(self)).scatter_reduce_(0, self._order.rows, labels, "amax")
        return torch.exp2(labels - highest[self._order.rows]) * -torch.expm1(-labels * math.log(2))

    def _discounted(self, gains: Tensor, k: int | None, discount: Transform | None) -> Tensor:
        ranks = self._order.ranks.double()
        discounts = 1 / torch.log2(1 + ranks) if discount is None else discount(ranks)
        return self._order.total(gains * discounts * self._within(k))

    def _hits(self, k: int | None) -> Tensor:
        return self._order.total(self._order.shared(self._relevant) * self._within(k))

    def _within(self, k: int | None) -> Tensor:
        if k is None:
            return torch.ones_like(self._order.weights)
        check_cutoffs([k])
        return (self._order.ranks <= k).double()

    def _first_relevant(self) -> Tensor:
        """The chance that each place holds the list's first relevant item, ties in random order."""
        order = self._order
        relevant = order.group_total(self._relevant)
        size = order.group_sizes[order.groups].double()
        # The first of r among t stands at m with the chance (t - m choose r - 1) / (t choose r).
        free = size - order.place_in_group() - relevant + 1
        chance = torch.exp(
            torch.lgamma(free + relevant)
            - torch.lgamma(free.clamp(min=0) + 1)
            - torch.lgamma(relevant)
            - torch.lgamma(size + 1)
            + torch.lgamma(relevant + 1)
            + torch.lgamma(size - relevant + 1)
        )
        first = (relevant > 0) & (order.before_group(self._relevant) == 0) & (free >= 0)
        return torch.where(first, chance, 0.0)

    def _defined(self, values: Tensor) -> Tensor:
        return torch.where(self._num_relevant > 0, values, torch.nan)
