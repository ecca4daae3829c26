"""What a pair of items is worth: how much a metric changes when the two change places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from shortlist.errors import ConfigError
from shortlist.kernels.lists import PairTables, list_ideal_dcg
from shortlist.losses.lists.gains import (
    Transform,
    check_gains,
    exponential_gain,
    gains_are_moderate,
    inverse_ideal_dcg,
    logarithmic_discount,
    relative_gains,
)


class LambdaWeight(Protocol):
    """A weight of each pair of items, from their labels and their present ranks."""

    def pair_weights(self, labels: Tensor, lengths: Tensor) -> Tensor:
        """The weights of all pairs of a block of lists.

        Args:
            labels: `[lists, width]`, the best score first; 0 where a list has ended.
            lengths: `[lists]` the lists' lengths.

        Returns:
            `[lists, width, width]`, 0 or more; what it says of a place where a list has ended is not used.
        """


@dataclass(frozen=True)
class LabelDifferenceWeight:
    """The difference of the labels, whatever the ranks."""

    def pair_weights(self, labels: Tensor, lengths: Tensor) -> Tensor:
        """See `LambdaWeight.pair_weights`."""
        return (labels[:, :, None] - labels[:, None, :]).abs()


@dataclass(frozen=True)
class DCGWeight:
    """How much DCG changes when two items change places, in the manner of LambdaLoss or of LambdaMART.

    Two items at ranks r and s differ by `|gain - gain'|` times a discount: that of LambdaLoss depends on
    their distance, `|D(|r - s|) - D(|r - s| + 1)|`, that of LambdaMART on their ranks, `|D(r) - D(s)|`.
    The whole is multiplied by the list's length, which keeps the loss as large as one without weights.

    Args:
        top_n: pairs with no item among the first `top_n` weigh nothing; None for no cut.
        gain: of labels.
        discount: of ranks, falling.
        normalized: whether to divide by the best possible DCG, which makes it NDCG.
        smooth_fraction: share of LambdaMART's discount, from 0 to 1; the rest is LambdaLoss's.
        correct_top_n: in place of leaving out pairs below `top_n`, raise those with one item below it by
            `1 / (1 - D(the lower rank))`, as LambdaLoss@k does. Only LambdaLoss's discount goes with it.
        neighbours: whether only items at neighbouring ranks form pairs, as in YetiLoss.

    Raises:
        ConfigError: a setting is out of its range, or two of them contradict each other.

    Source: Wang et al., The LambdaLoss framework for ranking metric optimization (CIKM 2018); Burges, From
    RankNet to LambdaRank to LambdaMART (2010); Jagerman et al., On optimizing top-K metrics for neural
    ranking models (SIGIR 2022); Lyzhin et al., Which tricks are important for learning to rank? (ICML 2023).
    """

    top_n: int | None = None
    gain: Transform = exponential_gain
    discount: Transform = logarithmic_discount
    normalized: bool = True
    smooth_fraction: float = 0.0
    correct_top_n: bool = False
    neighbours: bool = False

    def __post_init__(self) -> None:
        check_top_n(self.top_n)
        if not 0 <= self.smooth_fraction <= 1:
            raise ConfigError(f"smooth_fraction is {self.smooth_fraction}", remedy="pass a share from 0 to 1")
        if (self.correct_top_n or self.neighbours) and self.smooth_fraction:
            raise ConfigError(
                "correct_top_n and neighbours do not go with a smooth_fraction",
                remedy="set smooth_fraction to 0",
            )

    def pair_weights(self, labels: Tensor, lengths: Tensor) -> Tensor:
        """See `LambdaWeight.pair_weights`."""
        gains = self.gains(labels, lengths)
        discounts = self._pair_discounts(labels.shape[1], gains)
        weights = (gains[:, :, None] - gains[:, None, :]).abs_()
        return weights.mul_(discounts).mul_(lengths[:, None, None])

    def item_weights(self, labels: Tensor, lengths: Tensor) -> Tensor:
        """What each item adds to DCG at its rank.

        Args:
            labels: `[lists, width]`, the best score first.
            lengths: `[lists]` the lists' lengths.

        Returns:
            `[lists, width]`.
        """
        gains = self.gains(labels, lengths)
        return gains * self.discount(torch.arange(1, labels.shape[1] + 1, device=gains.device).to(gains))

    def gains(self, labels: Tensor, lengths: Tensor) -> Tensor:
        """The gain of each item, over the best possible DCG if `normalized`.

        Args:
            labels: `[lists, width]`.
            lengths: `[lists]` the lists' lengths; what comes after them gains 0.

        Raises:
            DataError: a gain overflows.
        """
        gains = relative_gains(labels, self.gain) if self.normalized else check_gains(self.gain(labels))
        ended = torch.arange(labels.shape[1], device=labels.device) >= lengths[:, None]
        gains = gains.masked_fill(ended, 0)
        if not self.normalized:
            return gains
        return gains * inverse_ideal_dcg(gains, self.discount, top_n=self.top_n)[:, None]

    def gains_are_moderate(self, labels: Tensor) -> bool:
        """Whether gains can be told apart without a unit of each list's own.

        Args:
            labels: `[total]`.
        """
        return gains_are_moderate(labels, self.gain)

    def scaled_gains(self, labels: Tensor, offsets: Tensor) -> Tensor:
        """The gains of flat lists, times the list's length and, if `normalized`, over its best DCG.

        Args:
            labels: `[total]` float32 on the CPU, with moderate gains.
            offsets: `[lists + 1]` int64.

        Returns:
            `[total]`.
        """
        gains, lengths = check_gains(self.gain(labels)), offsets.diff()
        scale = lengths.to(gains.dtype)
        if self.normalized and len(lengths):
            width = min(self.top_n or int(lengths.max()), int(lengths.max()))
            ideal = list_ideal_dcg(gains, offsets, self.discount(torch.arange(1, width + 1).to(gains)))
            scale = torch.where(ideal > 0, scale / ideal, 0)
        return gains * scale.repeat_interleave(lengths, output_size=len(gains))

    def tables(self, width: int, like: Tensor | None = None) -> PairTables:
        """What ranks add to the weights of pairs; lists are in the order of their scores.

        Args:
            width: ranks.
            like: gives the dtype and the device; float32 on the CPU by default.
        """
        like = torch.empty(0) if like is None else like
        ranks = torch.arange(1, width + 1, device=like.device).to(like)
        by_distance = (self.discount(ranks) - self.discount(ranks + 1)).abs() * (1 - self.smooth_fraction)
        near = torch.cat([by_distance.new_zeros(1), by_distance[:-1]])
        if self.neighbours:
            near[2:] = 0
        lift, single = torch.ones_like(ranks), self.smooth_fraction * self.discount(ranks)
        if self.top_n is None:
            return PairTables(near, lift, single, width)
        if self.correct_top_n:
            lifted = 1 / (1 - self.discount(ranks))
            return PairTables(near, torch.where(ranks > self.top_n, lifted, lift), single, width)
        return PairTables(near, lift, torch.where(ranks > self.top_n, 0, single), self.top_n)

    def _pair_discounts(self, width: int, like: Tensor) -> Tensor:
        near, lift, single, top_n = self.tables(width, like)
        ranks = torch.arange(width, device=like.device)
        lower, higher = torch.maximum(ranks[:, None], ranks), torch.minimum(ranks[:, None], ranks)
        pairs = near[lower - higher] * lift[lower] + (single[:, None] - single).abs()
        return pairs * (higher < top_n)


@dataclass(frozen=True)
class PrecisionWeight:
    """Whether precision among the first `top_n` changes when two items change places: 1 or 0.

    Args:
        top_n: how many items count.

    Raises:
        ConfigError: `top_n` is less than 1.
    """

    top_n: int

    def __post_init__(self) -> None:
        check_top_n(self.top_n)

    def pair_weights(self, labels: Tensor, lengths: Tensor) -> Tensor:
        """See `LambdaWeight.pair_weights`."""
        relevant = labels >= 1
        within = torch.arange(labels.shape[1], device=labels.device) < self.top_n
        crosses = within[:, None] != within
        return ((relevant[:, :, None] != relevant[:, None, :]) & crosses).to(labels.dtype)


def check_top_n(top_n: int | None, *, name: str = "top_n") -> None:
    """Refuse a cut-off of less than one item.

    Args:
        top_n: the cut-off, or None for none.
        name: what to call it in the error.

    Raises:
        ConfigError: it is less than 1.
    """
    if top_n is not None and top_n < 1:
        raise ConfigError(f"{name} is {top_n}", remedy="pass a positive integer such as 10, or None")
