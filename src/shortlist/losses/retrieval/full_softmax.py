"""Softmax over the whole catalogue: every item is a negative, and nothing is sampled."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from shortlist.errors import ShapeError
from shortlist.losses.pointwise import at_least_float32
from shortlist.losses.reduction import check_reduction
from shortlist.losses.retrieval.fused_softmax import MASKED_SCORE, Precision, check_precision, fused_softmax
from shortlist.losses.retrieval.in_batch_softmax import check_settings
from shortlist.losses.retrieval.softmax_rules import Rules


def full_softmax(
    queries: Tensor,
    candidates: Tensor,
    targets: Tensor,
    *,
    temperature: float = 1.0,
    item_bias: Tensor | None = None,
    score_mask: Tensor | None = None,
    reduction: Literal["none", "mean"] = "none",
    sample_weight: Tensor | None = None,
    precision: Precision = "float32",
) -> Tensor:
    """Softmax cross-entropy of each query's own item against all items.

    The matrix of scores never exists: beside the batch, memory grows with the items alone.

    Args:
        queries: `[batch, dim]` float query embeddings.
        candidates: `[num_candidates, dim]` embeddings of all items.
        targets: `[batch]` int64, the row of each query's own item.
        temperature: divides the scores; must be positive.
        item_bias: `[num_candidates]` float added to every query's scores, and learned where it requires a
            gradient; `-inf` leaves an item out. None adds nothing.
        score_mask: `[batch, num_candidates]` bool, True where an item counts. The own item always does. It
            takes the memory that the scores would not.
        reduction: `"none"` for a loss a query; `"mean"` for their mean, whose gradients are found sooner.
        sample_weight: `[batch]` non-negative, for a weighted mean; None weighs all queries alike.
        precision: of the products, "float32" or "bfloat16"; see `in_batch_softmax`.

    Returns:
        `[batch]` losses in nats, float32 (float64 for float64 embeddings), or the scalar
        `sum(weight * loss) / sum(weight)`.

    Raises:
        ConfigError: the temperature is not positive, the reduction is unknown, or there are weights without
            a mean.
        ShapeError: the arguments do not fit together, or a target is no row of the candidates.
    """
    check_reduction(reduction, sample_weight)
    check_precision(precision)
    check_settings(temperature, None)
    _check_shapes(queries, candidates, targets, item_bias, score_mask)
    dtype = torch.promote_types(at_least_float32(queries).dtype, at_least_float32(candidates).dtype)
    with torch.autocast(queries.device.type, enabled=False):
        # A minimum that is finite: minus infinity from itself is not a number.
        bias = None if item_bias is None else item_bias.to(dtype).clamp(min=MASKED_SCORE)
        rules = Rules(targets.long(), bias, None, score_mask, None, None, None)
        return fused_softmax(
            queries.to(dtype) / temperature,
            candidates.to(dtype),
            rules,
            reduction=reduction,
            sample_weight=sample_weight,
            precision=precision,
        )


def _check_shapes(
    queries: Tensor,
    candidates: Tensor,
    targets: Tensor,
    item_bias: Tensor | None,
    score_mask: Tensor | None,
) -> None:
    shapes = f"query embeddings {tuple(queries.shape)}, candidate embeddings {tuple(candidates.shape)}"
    if queries.ndim != 2 or candidates.ndim != 2 or queries.shape[1] != candidates.shape[1]:
        raise ShapeError(
            f"the embeddings do not fit together: {shapes}",
            remedy="pass [batch, dim] queries and [num_candidates, dim] candidates",
        )
    if targets.shape != queries.shape[:1] or targets.is_floating_point() or targets.dtype == torch.bool:
        raise ShapeError(
            f"targets are {targets.dtype} {tuple(targets.shape)} for {len(queries)} queries",
            remedy="pass [batch] int64, the row of each query's own item",
        )
    wrong = (targets < 0) | (targets >= len(candidates))
    if bool(wrong.any()):
        raise ShapeError(
            f"target {int(targets[wrong][0])} is none of the {len(candidates):,} candidates",
            remedy="pass rows of the candidates, from 0; leave padding out of the queries",
        )
    if item_bias is not None and item_bias.shape != candidates.shape[:1]:
        raise ShapeError(
            f"item_bias is {tuple(item_bias.shape)} for {len(candidates)} candidates",
            remedy="pass one number a candidate",
        )
    if score_mask is not None and (
        score_mask.dtype != torch.bool or score_mask.shape != (len(queries), len(candidates))
    ):
        raise ShapeError(
            f"score_mask is {score_mask.dtype} {tuple(score_mask.shape)} with {shapes}",
            remedy="pass bool [batch, num_candidates], True where an item counts",
        )
