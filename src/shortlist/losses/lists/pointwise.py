"""Losses of one item at a time, summed up by list."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, DataError
from shortlist.losses.lists.inputs import Lists, check_lists
from shortlist.losses.lists.list_losses import ListLosses, divide, list_sums, relevance_weights
from shortlist.losses.pointwise import binary_cross_entropy_with_logits, squared_error


def sigmoid_cross_entropy(
    scores: Ragged,
    labels: Tensor,
    *,
    temperature: float = 1.0,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Cross-entropy of a click under `sigmoid(score)`, item by item.

    Args:
        scores: lists of logits.
        labels: `[total]`, 1 for a click and 0 for none.
        temperature: divides the scores; positive.
        item_weights: `[total]`, 0 or more; None for 1.
        list_weights: `[lists]`, 0 or more, a factor of all the list's items; None for 1.

    Returns:
        The mean over each list's items.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.
    """
    lists = check_lists(
        scores, labels, temperature=temperature, item_weights=item_weights, list_weights=list_weights
    )
    return _over_items(binary_cross_entropy_with_logits(lists.scores, lists.labels), lists)


def mean_squared(
    scores: Ragged,
    labels: Tensor,
    *,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Squared difference of score and label, item by item.

    Args:
        scores: lists of predicted labels.
        labels: `[total]`.
        item_weights: `[total]`, 0 or more; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The mean over each list's items.

    Raises:
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.
    """
    lists = check_lists(scores, labels, item_weights=item_weights, list_weights=list_weights)
    return _over_items(squared_error(lists.scores, lists.labels), lists)


def ordinal(
    scores: Ragged,
    labels: Tensor,
    *,
    fractions: bool = False,
    temperature: float = 1.0,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Cross-entropy of each of the questions "is the label at least 1, 2, ... ?".

    Args:
        scores: lists whose values are `[total, levels]` logits, one for each question.
        labels: `[total]`, from 0 to the number of levels.
        fractions: whether a label of 1.2 answers the second question with 0.2 instead of with 0.
        temperature: divides the scores; positive.
        item_weights: `[total]`, 0 or more; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The mean over each list's items of the sum over the questions.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Niu et al., Ordinal regression with multiple output CNN for age estimation (CVPR 2016).
    """
    lists = check_lists(
        scores,
        labels,
        temperature=temperature,
        item_weights=item_weights,
        list_weights=list_weights,
        outputs=0,
    )
    levels = torch.arange(1, lists.scores.shape[1] + 1, device=lists.scores.device)
    above = lists.labels[:, None] - levels  # 0 or more where the answer is yes
    answers = (above + 1).clamp(0, 1) if fractions else (above >= 0)
    return _over_items(binary_cross_entropy_with_logits(lists.scores, answers).sum(dim=1), lists)


def multi_class(
    scores: Ragged,
    labels: Tensor,
    *,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Cross-entropy of each item's label as one of several classes.

    Args:
        scores: lists whose values are `[total, classes]` logits.
        labels: `[total]` whole numbers from 0 to `classes - 1`.
        label_smoothing: share of the certainty that is spread over all classes, from 0 to 1.
        temperature: divides the scores; positive.
        item_weights: `[total]`, 0 or more; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The mean over each list's items.

    Raises:
        ConfigError: the temperature or the smoothing is out of its range.
        DataError: a label is none of the classes, a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.
    """
    if not 0 <= label_smoothing <= 1:
        raise ConfigError(f"label_smoothing is {label_smoothing}", remedy="pass a share from 0 to 1")
    lists = check_lists(
        scores,
        labels,
        temperature=temperature,
        item_weights=item_weights,
        list_weights=list_weights,
        outputs=0,
    )
    classes = lists.scores.shape[1]
    if len(labels) and (float(lists.labels.amax()) >= classes or bool((lists.labels % 1 != 0).any())):
        raise DataError(
            f"labels up to {float(lists.labels.amax()):g} are not all one of {classes} classes",
            remedy=f"pass whole numbers from 0 to {classes - 1}, or a model with more outputs",
        )
    losses = functional.cross_entropy(
        lists.scores, lists.labels.long(), reduction="none", label_smoothing=label_smoothing
    )
    return _over_items(losses, lists)


def click_em(
    scores: Ragged,
    clicks: Tensor,
    *,
    examination_weight: float = 1.0,
    relevance_weight: float = 1.0,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Clicks as the product of examination and relevance, told apart by expectation and maximisation.

    A click means that the item was examined and relevant. Without a click the present logits say how likely
    each of the two was, and are then trained towards that. The examination logit must see the position
    alone, the relevance logit everything else.

    Args:
        scores: lists whose values are `[total, 2]` logits, of examination and of relevance.
        clicks: `[total]`, 1 or more for a click, else 0.
        examination_weight: of the examination's cross-entropy.
        relevance_weight: of the relevance's.
        item_weights: `[total]`, 0 or more; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The mean over each list's items.

    Raises:
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Wang et al., Position bias estimation for unbiased learning to rank in personal search (WSDM
    2018).
    """
    lists = check_lists(scores, clicks, item_weights=item_weights, list_weights=list_weights, outputs=2)
    logits = lists.scores
    with torch.no_grad():
        posterior = torch.sigmoid(logits - functional.softplus(logits.flip(1)))
        posterior[lists.labels >= 1] = 1
    each = binary_cross_entropy_with_logits(logits, posterior)
    return _over_items(examination_weight * each[:, 0] + relevance_weight * each[:, 1], lists)


def mixture_em(
    scores: Ragged,
    clicks: Tensor,
    *,
    alpha: float = 1.0,
    temperature: float = 1.0,
    item_weights: Tensor | None = None,
    list_weights: Tensor | None = None,
) -> ListLosses:
    """Several models of clicks, each list trained into those that explain it best.

    Args:
        scores: lists whose values are `[total, models]` logits.
        clicks: `[total]`, 1 for a click and 0 for none.
        alpha: how sharply a list chooses among the models; 0 trains all alike.
        temperature: divides the scores; positive.
        item_weights: `[total]`, 0 or more; None for 1.
        list_weights: `[lists]`, 0 or more; None for 1.

    Returns:
        The sum over each list's items of the cross-entropy, averaged over the models by how well each
        explains the list. A list without a click weighs 0.

    Raises:
        ConfigError: the temperature is not positive.
        DataError: a label or a weight is negative, or something is not a finite number.
        ShapeError: the arguments do not fit together.

    Source: Yan et al., Revisiting two-tower models for unbiased learning to rank (SIGIR 2022).
    """
    lists = check_lists(
        scores,
        clicks,
        temperature=temperature,
        item_weights=item_weights,
        list_weights=list_weights,
        outputs=0,
    )
    answers = lists.labels[:, None].expand_as(lists.scores)
    losses = list_sums(binary_cross_entropy_with_logits(lists.scores, answers), lists.offsets)
    responsibility = torch.softmax(-alpha * losses.detach(), dim=1)
    weights = relevance_weights(lists)
    return ListLosses((losses * responsibility).sum(dim=1) * (weights > 0), weights)


def _over_items(losses: Tensor, lists: Lists) -> ListLosses:
    weights = torch.ones_like(losses) if lists.weights is None else lists.weights
    totals = list_sums(weights, lists.offsets)
    return ListLosses(divide(list_sums(losses * weights, lists.offsets), totals), totals)
