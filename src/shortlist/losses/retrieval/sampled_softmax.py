"""Softmax over each query's own item and items that were drawn as negatives."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from shortlist.errors import ConfigError, ShapeError
from shortlist.losses.pointwise import at_least_float32
from shortlist.losses.reduction import check_reduction, weighted_mean
from shortlist.losses.retrieval.fused_softmax import MASKED_SCORE, Precision, check_precision, fused_softmax
from shortlist.losses.retrieval.in_batch_softmax import check_settings, correction
from shortlist.losses.retrieval.softmax_rules import Rules


def sampled_softmax(
    queries: Tensor,
    positives: Tensor,
    negatives: Tensor,
    *,
    temperature: float = 1.0,
    positive_ids: Tensor | None = None,
    negative_ids: Tensor | None = None,
    positive_probability: Tensor | None = None,
    negative_probability: Tensor | None = None,
    score_mask: Tensor | None = None,
    reduction: Literal["none", "mean"] = "none",
    sample_weight: Tensor | None = None,
    precision: Precision = "float32",
) -> Tensor:
    """Softmax cross-entropy of each query's own item against drawn negatives.

    Negatives that all queries share go through the fused kernels, without a matrix of scores; negatives of
    each query's own do not.

    Args:
        queries: `[batch, dim]` float query embeddings.
        positives: `[batch, dim]` embedding of each query's own item.
        negatives: `[num_negatives, dim]` that all queries share, or `[batch, num_negatives, dim]`.
        temperature: divides the scores; must be positive.
        positive_ids: `[batch]` integers, with `negative_ids`: a negative with the positive's id does not
            count (an accidental hit). None keeps such negatives.
        negative_ids: `[num_negatives]`, or `[batch, num_negatives]` for negatives of each query's own.
        positive_probability: `[batch]` chance that each positive is drawn as a negative, with
            `negative_probability`: their logs, clipped to [1e-6, 1], are taken off the scores (the logQ
            correction). None suits negatives that are drawn uniformly, where it would cancel.
        negative_probability: the same of each negative, in the shape of `negative_ids`.
        score_mask: `[batch, num_negatives]` bool, True where a negative counts.
        reduction: `"none"` for a loss a query; `"mean"` for their mean.
        sample_weight: `[batch]` non-negative, for a weighted mean; None weighs all queries alike.
        precision: of the products with shared negatives, "float32" or "bfloat16"; see `in_batch_softmax`.

    Returns:
        `[batch]` losses in nats, float32 (float64 for float64 embeddings), or the scalar
        `sum(weight * loss) / sum(weight)`.

    Raises:
        ConfigError: the temperature is not positive, the reduction is unknown, there are weights without a
            mean, or of two arguments that go together there is one.
        ShapeError: the arguments do not fit together.

    Source: Bengio & Senécal, Adaptive importance sampling to accelerate training of a neural probabilistic
    language model (2008); Jean et al., On using very large target vocabulary (ACL 2015).
    """
    check_reduction(reduction, sample_weight)
    check_precision(precision)
    own, others = _check(queries, positives, negatives, temperature, score_mask), negatives.shape[:-1]
    hits = _pair("ids", positive_ids, negative_ids, own, others)
    chances = _pair("probability", positive_probability, negative_probability, own, others)
    if negatives.ndim == 3:
        positive, negative = _scores(queries, positives, negatives, temperature, hits, score_mask)
        if chances is not None:
            positive = positive + correction(chances[0], positive.dtype)
            negative = negative + correction(chances[1], negative.dtype)
        scores = torch.cat([positive[:, None], negative], dim=1)
        targets = torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
        losses = functional.cross_entropy(scores, targets, reduction="none")
        return losses if reduction == "none" else weighted_mean(losses, sample_weight)
    queries, positives, negatives = _widened(queries, positives, negatives)
    with torch.autocast(queries.device.type, enabled=False):
        queries = queries / temperature
        columns, rules = _shared(queries, positives, negatives, hits, chances, score_mask)
        return fused_softmax(
            queries,
            columns,
            rules,
            reduction=reduction,
            sample_weight=sample_weight,
            precision=precision,
        )


def sampled_scores(
    queries: Tensor,
    positives: Tensor,
    negatives: Tensor,
    *,
    temperature: float = 1.0,
    positive_ids: Tensor | None = None,
    negative_ids: Tensor | None = None,
    score_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The scores of each query's own item and of drawn negatives, for a loss of a pair or of each.

    Args:
        queries: `[batch, dim]` float; see `sampled_softmax` for this and the rest.
        positives: `[batch, dim]`.
        negatives: `[num_negatives, dim]` or `[batch, num_negatives, dim]`.
        temperature: divides the scores.
        positive_ids: `[batch]` integers, or None.
        negative_ids: `[num_negatives]` or `[batch, num_negatives]` integers, or None.
        score_mask: `[batch, num_negatives]` bool, or None.

    Returns:
        `[batch]` scores of the positives and `[batch, num_negatives]` of the negatives, `MASKED_SCORE` where
        a negative does not count.

    Raises:
        ConfigError: the temperature is not positive, or there are ids of one side alone.
        ShapeError: the arguments do not fit together.
    """
    own, others = _check(queries, positives, negatives, temperature, score_mask), negatives.shape[:-1]
    hits = _pair("ids", positive_ids, negative_ids, own, others)
    return _scores(queries, positives, negatives, temperature, hits, score_mask)


def mixed_probability(in_batch: Tensor, *, batch_size: int, num_uniform: int, num_items: int) -> Tensor:
    """The chance of an item among negatives of which some come from the batch and some from the catalogue.

    A candidate is then a draw from a mixture, wherever it came from, and this is what the logQ correction
    takes off.

    Args:
        in_batch: any shape, each item's share of the events that batches are made of.
        batch_size: how many candidates are events, those of earlier batches in a queue too.
        num_uniform: how many are drawn uniformly from the catalogue.
        num_items: size of the catalogue.

    Returns:
        The same shape.

    Source: Yang et al., Mixed negative sampling for learning two-tower neural networks in recommendations
    (WWW 2020 companion).
    """
    return (in_batch * batch_size + num_uniform / num_items) / max(batch_size + num_uniform, 1)


Pair = tuple[Tensor, Tensor] | None


def _shared(
    queries: Tensor, positives: Tensor, negatives: Tensor, ids: Pair, chances: Pair, mask: Tensor | None
) -> tuple[Tensor, Rules]:
    # The positives share one more column, of zeros, on which each query puts the score of its own.
    count = len(negatives)
    columns = torch.cat([negatives, negatives.new_zeros(1, negatives.shape[1])])
    own = (queries * positives).sum(1)
    bias = None
    if chances is not None:
        own = own + correction(chances[0], own.dtype)
        bias = functional.pad(correction(chances[1], own.dtype), (0, 1))
    by_id = starts = ends = None
    if ids is not None:
        ordered, by_id = ids[1].sort()
        wanted = ids[0].to(ordered.dtype).contiguous()
        starts, ends = torch.searchsorted(ordered, wanted), torch.searchsorted(ordered, wanted, right=True)
        by_id = torch.cat([by_id, by_id.new_tensor([count])])
    if mask is not None:
        mask = functional.pad(mask, (0, 1), value=True)
    column = torch.full((len(queries),), count, device=queries.device)
    return columns, Rules(column, bias, own, mask, by_id, starts, ends)


def _scores(
    queries: Tensor,
    positives: Tensor,
    negatives: Tensor,
    temperature: float,
    ids: Pair,
    mask: Tensor | None,
) -> tuple[Tensor, Tensor]:
    queries, positives, negatives = _widened(queries, positives, negatives)
    with torch.autocast(queries.device.type, enabled=False):
        queries = queries / temperature
        positive = (queries * positives).sum(1)
        if negatives.ndim == 2:
            negative = queries @ negatives.T
        else:
            negative = torch.bmm(negatives, queries[:, :, None]).squeeze(2)
        ignored = None if mask is None else ~mask
        if ids is not None:
            hits = ids[0][:, None] == ids[1]
            ignored = hits if ignored is None else ignored | hits
        return positive, negative if ignored is None else negative.masked_fill(ignored, MASKED_SCORE)


def _widened(*embeddings: Tensor) -> list[Tensor]:
    wide = [at_least_float32(each) for each in embeddings]
    dtype = torch.float64 if any(each.dtype == torch.float64 for each in wide) else torch.float32
    return [each.to(dtype) for each in wide]


def _check(
    queries: Tensor, positives: Tensor, negatives: Tensor, temperature: float, mask: Tensor | None
) -> torch.Size:
    check_settings(temperature, None)
    shapes = (
        f"query embeddings {tuple(queries.shape)}, positives {tuple(positives.shape)}, "
        f"negatives {tuple(negatives.shape)}"
    )
    shared = negatives.ndim == 2
    own = negatives.ndim == 3 and len(negatives) == len(queries)
    if queries.ndim != 2 or positives.shape != queries.shape or not (shared or own):
        raise ShapeError(
            f"the embeddings do not fit together: {shapes}",
            remedy="pass [batch, dim] queries and positives, and negatives [num_negatives, dim] that all "
            "queries share or [batch, num_negatives, dim] of each query's own",
        )
    if negatives.shape[-1] != queries.shape[1]:
        raise ShapeError(f"the embeddings' widths differ: {shapes}", remedy="pass embeddings of one width")
    if mask is not None and (mask.dtype != torch.bool or mask.shape != (len(queries), negatives.shape[-2])):
        raise ShapeError(
            f"score_mask is {mask.dtype} {tuple(mask.shape)} with {shapes}",
            remedy="pass bool [batch, num_negatives], True where a negative counts",
        )
    return queries.shape[:1]


def _pair(
    name: str, positive: Tensor | None, negative: Tensor | None, own: torch.Size, others: torch.Size
) -> Pair:
    if positive is None and negative is None:
        return None
    if positive is None or negative is None:
        missing = "positive" if positive is None else "negative"
        raise ConfigError(
            f"{missing}_{name} is missing, but there is one of the other side",
            remedy=f"pass both positive_{name} and negative_{name}, or neither",
        )
    for side, values, shape in (("positive", positive, own), ("negative", negative, others)):
        if values.shape != shape:
            raise ShapeError(
                f"{side}_{name} is {tuple(values.shape)}, not {tuple(shape)}",
                remedy=f"pass one entry a {side}",
            )
    return positive, negative
