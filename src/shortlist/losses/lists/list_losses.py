"""What all losses over lists share: their inputs, their gradient and what they answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from shortlist.data.list_blocks import ListBlock, list_blocks
from shortlist.kernels import lists as kernels
from shortlist.losses.lists.inputs import Lists
from shortlist.losses.reduction import weighted_mean

# Far below any score, and still a number: the difference of two of them is 0 and not NaN.
ENDED = -1e30


@dataclass(frozen=True, eq=False)
class ListLosses:
    """The loss of each list of a batch.

    Args:
        values: `[lists]` the list's loss: the weighted mean over what it compares (its items, its pairs or
            the list as a whole); 0 where there is nothing to compare.
        weights: `[lists]` how much there was to compare, the sum of the weights of that mean; 0 for a list
            that teaches nothing.
    """

    values: Tensor
    weights: Tensor

    def total(self) -> Tensor:
        """Scalar: the sum over everything that was compared."""
        return torch.dot(self.values, self.weights)

    def mean(self) -> Tensor:
        """Scalar: the mean over everything that was compared, in which long lists count more."""
        return weighted_mean(self.values, self.weights)

    def list_mean(self, list_weights: Tensor | None = None) -> Tensor:
        """The mean over the lists that teach something, in which all lists count alike.

        Args:
            list_weights: `[lists]` non-negative, how much each counts; None for 1.

        Returns:
            Scalar.
        """
        counted = (self.weights > 0).to(self.values.dtype)
        return weighted_mean(self.values, counted if list_weights is None else counted * list_weights)


@dataclass(frozen=True, eq=False)
class Block:
    """Lists of similar length; where a list has ended its score is ENDED and the rest 0.

    Args:
        scores: `[count, width]`.
        labels: `[count, width]`.
        weights: `[count, width]`; None for 1.
        layout: which lists, and where they end.
    """

    scores: Tensor
    labels: Tensor
    weights: Tensor | None
    layout: ListBlock

    @property
    def lengths(self) -> Tensor:
        """`[count]` the lists' lengths, in the scores' dtype."""
        present = self.layout.present
        if present is None:
            return self.scores.new_full((len(self.scores),), self.scores.shape[1])
        return present.sum(dim=1).to(self.scores.dtype)

    def fill(self, values: Tensor, ended: float) -> Tensor:
        """Values with a number of their own where a list has ended.

        Args:
            values: `[count, width]`.
            ended: that number.
        """
        present = self.layout.present
        return values if present is None else values.masked_fill(~present, ended)

    def reorder(self, order: Tensor) -> Block:
        """The same lists, each in another order.

        Args:
            order: `[count, width]` int64, in which what has ended stays last.
        """
        weights = None if self.weights is None else self.weights.gather(1, order)
        return Block(self.scores.gather(1, order), self.labels.gather(1, order), weights, self.layout)


class BlockLosses(NamedTuple):
    """What a loss answers for a block."""

    values: Tensor  # [count]
    weights: Tensor  # [count]
    gradient: Tensor | None  # [count, width] of each list's own value; None where it was not asked for


# Asked with True for the gradient too.
BlockLoss = Callable[[Block, bool], BlockLosses]


class BatchLosses(NamedTuple):
    """What a loss answers for a batch."""

    values: Tensor  # [lists]
    weights: Tensor  # [lists]
    gradient: Tensor | None  # [total] of each list's own value; None where it was not asked for
    weighted: bool = False  # whether it is that of value times weight, and 0 for a weight of 0


# Asked with True for the gradient too.
BatchLoss = Callable[[Lists, bool], BatchLosses]


def per_list(loss: BatchLoss, lists: Lists) -> ListLosses:
    """Work a loss out with its gradient in the same pass.

    A list's loss depends on its own scores alone, so one number an item is all that the gradient needs to
    remember, however many pairs were compared.

    Args:
        loss: of a batch.
        lists: the batch, one score an item.

    Returns:
        The losses, which can be differentiated once by the scores.
    """
    return ListLosses(*_PerList.apply(lists.scores, lists, loss))  # type: ignore[no-untyped-call]


def whole_lists(loss: BatchLoss, lists: Lists, *, targets: Tensor | None = None) -> ListLosses:
    """Work out a loss that takes a list as a whole, so that items' weights make one weight of the list.

    Args:
        loss: of a batch, which sees no weights.
        lists: the batch, one score an item.
        targets: `[total]` what the loss sees in place of the labels; None for the labels.

    Returns:
        The losses. A list weighs the mean weight of its items, each counting by its label.
    """
    labels = lists.labels if targets is None else targets
    losses = per_list(loss, lists._replace(labels=labels, weights=None))
    weights = relevance_weights(lists) * (losses.weights > 0)
    return ListLosses(losses.values * (weights > 0), weights)


def in_blocks(loss: BlockLoss, *, pairs: bool = False) -> BatchLoss:
    """A loss that is worked out for lists of similar length together, in blocks of bounded size.

    Args:
        loss: of a block.
        pairs: whether it compares pairs of items, whose number then counts for a block's size.
    """

    def over_batch(lists: Lists, gradient: bool) -> BatchLosses:
        scores, labels, weights, offsets = lists
        values, totals = (scores.new_zeros(len(offsets) - 1) for _ in range(2))
        slopes = torch.empty_like(scores) if gradient else None
        for layout in list_blocks(offsets, pairs=pairs):
            block = Block(
                layout.take(scores, fill=ENDED),
                layout.take(labels, fill=0),
                None if weights is None else layout.take(weights, fill=0),
                layout,
            )
            answer = loss(block, gradient)
            values[layout.lists], totals[layout.lists] = answer.values, answer.weights
            if slopes is not None and answer.gradient is not None:
                layout.put(slopes, answer.gradient)
        return BatchLosses(values, totals, slopes)

    return over_batch


def by_autograd(loss: Callable[[Block], Tensor]) -> BlockLoss:
    """A loss whose gradient PyTorch works out; it takes a list as a whole.

    Args:
        loss: answers the values of a block's lists.
    """

    def with_gradient(block: Block, gradient: bool) -> BlockLosses:
        if not gradient:
            values = loss(block)
            return BlockLosses(values, torch.ones_like(values), None)
        with torch.enable_grad():
            scores = block.scores.detach().requires_grad_()
            values = loss(Block(scores, block.labels, block.weights, block.layout))
            (slopes,) = torch.autograd.grad(values.sum(), scores)
        return BlockLosses(values.detach(), torch.ones_like(values), slopes)

    return with_gradient


def divide(sums: Tensor, weights: Tensor) -> Tensor:
    """`sums / weights`, and 0 where a weight is 0.

    Args:
        sums: any shape.
        weights: of a shape that goes with it, 0 or more.
    """
    return sums / torch.where(weights > 0, weights, torch.inf)


def list_sums(values: Tensor, offsets: Tensor) -> Tensor:
    """The sum of each list's values.

    Args:
        values: `[total, ...]`.
        offsets: `[lists + 1]` int64.

    Returns:
        `[lists, ...]`.
    """
    numbers = torch.arange(len(offsets) - 1, device=values.device)
    rows = numbers.repeat_interleave(offsets.diff(), output_size=len(values))
    return values.new_zeros(len(offsets) - 1, *values.shape[1:]).index_add(0, rows, values)


def relevance_weights(lists: Lists) -> Tensor:
    """What each list counts in the losses that take it as a whole.

    Args:
        lists: the batch.

    Returns:
        `[lists]` the mean weight of its items, each counting by its label; 0 without a label above 0.
    """
    totals = list_sums(lists.labels, lists.offsets)
    if lists.weights is None:
        return (totals > 0).to(totals.dtype)
    return divide(list_sums(lists.weights * lists.labels, lists.offsets), totals)


class _PerList(torch.autograd.Function):
    """Losses of lists, with the gradient of each by its own scores."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, lists: Lists, loss: BatchLoss) -> tuple[Tensor, Tensor]:
        found = loss(lists, ctx.needs_input_grad[0])
        ctx.save_for_backward(found.gradient, lists.offsets, found.weights)
        ctx.weighted = found.weighted
        ctx.mark_non_differentiable(found.weights)
        ctx.set_materialize_grads(False)  # no zeros for the weights, which have no gradient
        return found.values, found.weights

    @staticmethod
    def backward(ctx: Any, upstream: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        if upstream is None:
            return None, None, None
        # The guard against a second derivative takes its time, so it stands where one could be asked for.
        slopes = _slopes_once(ctx, upstream) if torch.is_grad_enabled() else _slopes(ctx, upstream)
        return slopes, None, None


def _slopes(ctx: Any, upstream: Tensor) -> Tensor:
    slopes: Tensor
    slopes, offsets, weights = ctx.saved_tensors
    if ctx.weighted:
        if torch.equal(upstream, weights):  # as of the sum of all: nothing is left to do
            return slopes
        upstream = divide(upstream, weights)
    if kernels.suits(slopes) and kernels.suits(upstream):
        return kernels.list_products(slopes, offsets, upstream)
    return slopes * upstream.repeat_interleave(offsets.diff(), output_size=len(slopes))


_slopes_once = torch.autograd.function.once_differentiable(_slopes)
