"""The checked inputs of the losses over lists."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.losses.pointwise import at_least_float32


class Lists(NamedTuple):
    """A batch of lists, checked and in one precision."""

    scores: Tensor  # [total] or [total, outputs], float32 or float64
    labels: Tensor  # [total]
    weights: Tensor | None  # [total] the weight of each item, with its list's; None for 1
    offsets: Tensor  # [lists + 1] int64


def check_lists(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
    outputs: int | None = None,
    numbers: bool = True,
) -> Lists:
    """Refuse what makes no sense, and divide the scores by the temperature.

    Args:
        scores: `lists` rows of scores, `[total]` or `[total, outputs]` values.
        labels: `[total]`, 0 or more.
        temperature: positive.
        item_weights: `[total]`, 0 or more.
        list_weights: `[lists]`, 0 or more.
        outputs: numbers that a model gives an item; None for one without a dimension of its own, 0 for any.
        numbers: whether to look at the scores and labels one by one; False for a loss that does so itself.

    Returns:
        The lists.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.
    """
    total = len(scores.values)
    _check_shape(scores, outputs)
    check_temperature(temperature)
    values = at_least_float32(scores.values)
    marks = labels.to(values.dtype)
    _check_length("label", marks, total, "item")
    if numbers:
        check_numbers(values, marks)
    weights = None
    if item_weights is not None:
        weights = item_weights.to(values.dtype)
        _check_length("item weight", weights, total, "item")
        _check_numbers("item weight", weights)
    if list_weights is not None:
        check_list_weights(list_weights, len(scores))
        spread = list_weights.to(values.dtype).repeat_interleave(scores.lengths, output_size=total)
        weights = spread if weights is None else weights * spread
    return Lists(values if temperature == 1 else values / temperature, marks, weights, scores.offsets)


def check_numbers(scores: Tensor, labels: Tensor) -> None:
    """Refuse scores and labels that make no sense.

    Args:
        scores: any shape.
        labels: `[total]`.

    Raises:
        DataError: a label is negative, or something is not a finite number.
    """
    _check_numbers("label", labels)
    if not are_finite(scores):
        raise DataError(
            "a score is not a finite number",
            remedy="look for a feature that is NaN, or for weights that grew without bound",
        )


def are_finite(values: Tensor) -> bool:
    """Whether all values are finite numbers.

    Args:
        values: any shape.
    """
    if values.numel() == 0:
        return True
    low, high = torch.aminmax(values.detach())  # NaN if one is; one pass where isfinite().all() takes five
    return bool((low > -torch.inf) & (high < torch.inf))


def check_temperature(temperature: float) -> None:
    """Refuse to divide by nothing.

    Args:
        temperature: what to divide by.

    Raises:
        ConfigError: it is not positive.
    """
    if not temperature > 0:
        raise ConfigError(f"temperature is {temperature}", remedy="pass a positive number such as 1.0")


def check_list_weights(list_weights: Tensor, count: int) -> None:
    """Refuse weights of lists that are negative, or not one a list.

    Args:
        list_weights: `[lists]`.
        count: how many lists there are.

    Raises:
        DataError: a weight is negative or not a finite number.
        ShapeError: there is not one weight a list.
    """
    _check_length("list weight", list_weights, count, "list")
    _check_numbers("list weight", list_weights)


def _check_shape(scores: Ragged, outputs: int | None) -> None:
    shape = tuple(scores.values.shape)
    if outputs is None and len(shape) != 1:
        raise ShapeError(
            f"the scores' values are {shape}, but this loss takes one score an item",
            remedy="pass Ragged(scores.squeeze(-1), offsets)",
        )
    if outputs is not None and (len(shape) != 2 or shape[1] != (outputs or shape[1])):
        wanted = outputs or "outputs"
        raise ShapeError(
            f"the scores' values are {shape}, but this loss takes [total, {wanted}]",
            remedy="give the model's last layer as many outputs as the loss needs",
        )


def _check_length(name: str, values: Tensor, count: int, what: str) -> None:
    if values.shape != (count,):
        raise ShapeError(
            f"{name}s are {tuple(values.shape)} for {count} {what}s",
            remedy=f"pass one {name} for each {what}, in a vector",
        )


def _check_numbers(name: str, values: Tensor) -> None:
    if values.numel() == 0:
        return
    low, high = torch.aminmax(values.detach())
    if not (low >= 0 and high < torch.inf):
        wrong = high if low >= 0 else low
        raise DataError(
            f"a {name} is {float(wrong):g}",
            remedy=f"{name}s must be finite and 0 or more; leave padding and unlabelled items out",
        )
