"""Retrieval's loss: each query's own candidate against the other candidates of the batch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from shortlist.errors import ConfigError, ShapeError
from shortlist.losses.pointwise import at_least_float32
from shortlist.losses.reduction import check_reduction, weighted_mean
from shortlist.losses.retrieval.fused_softmax import MASKED_SCORE, Precision, check_precision, fused_softmax
from shortlist.losses.retrieval.softmax_rules import rules_of

_SMALLEST_PROBABILITY = 1e-6


def in_batch_softmax(
    queries: Tensor,
    candidates: Tensor,
    *,
    temperature: float = 1.0,
    candidate_ids: Tensor | None = None,
    sampling_probability: Tensor | None = None,
    score_mask: Tensor | None = None,
    num_hard_negatives: int | None = None,
    one_embedding_per_id: bool = False,
    reduction: Literal["none", "mean"] = "none",
    sample_weight: Tensor | None = None,
    precision: Precision = "float32",
) -> Tensor:
    """Softmax cross-entropy of each query's own candidate against the batch's.

    Args:
        queries: `[batch, dim]` float query embeddings, or `[batch, heads, dim]`: the best head counts.
        candidates: `[num_candidates, dim]`, `num_candidates >= batch`; row i is query i's positive and
            the rows from `batch` on are negatives of everyone.
        temperature: divides the scores; must be positive.
        candidate_ids: `[num_candidates]` integers; a negative with the positive's id does not count
            (an accidental hit). None keeps such negatives.
        sampling_probability: `[num_candidates]` chance of finding each candidate in a batch; its log,
            clipped to [1e-6, 1], is taken off the scores (the logQ correction). None corrects nothing.
        score_mask: `[batch, num_candidates]` bool, True where a negative counts. The positive always does.
        num_hard_negatives: keep only that many negatives, the highest scores; None keeps all.
        one_embedding_per_id: a promise that candidates with equal ids are equal, in their probability and
            mask too. It changes no loss; each distinct candidate is then scored once, and its gradient
            arrives in the first of its rows.
        reduction: `"none"` for a loss a query; `"mean"` for their mean, whose gradients are found in the same
            pass, in three quarters of the time.
        sample_weight: `[batch]` non-negative, for a weighted mean; None weighs all queries alike.
        precision: "bfloat16" lets products be of numbers of 16 bits where the processor multiplies those
            faster: bfloat16 on AMD's from Zen 4 on, whose gradients are off by about 0.5 % at temperature
            0.05; float16 for the gradients on Intel's from Sapphire Rapids on, off by less than 0.1 %.
            Elsewhere, with several heads and with hard negatives, all is float32.

    Returns:
        `[batch]` losses in nats, float32 (float64 for float64 embeddings), or the scalar
        `sum(weight * loss) / sum(weight)`.

    Raises:
        ConfigError: the temperature or the number of hard negatives is not positive, the reduction or the
            precision is unknown, or there are weights without a mean.
        ShapeError: the embeddings' widths differ, there are fewer candidates than queries, or an
            argument has not one entry a candidate.

    Source: Yi et al., Sampling-bias-corrected neural modeling (RecSys 2019).
    """
    check_reduction(reduction, sample_weight)
    check_precision(precision)
    if queries.ndim == 3 or num_hard_negatives is not None:
        scores, targets = in_batch_scores(
            queries,
            candidates,
            temperature=temperature,
            candidate_ids=candidate_ids,
            sampling_probability=sampling_probability,
            score_mask=score_mask,
            num_hard_negatives=num_hard_negatives,
        )
        losses = functional.cross_entropy(scores, targets, reduction="none")
        return losses if reduction == "none" else weighted_mean(losses, sample_weight)
    check_settings(temperature, num_hard_negatives)
    _check_shapes(queries, candidates, candidate_ids, sampling_probability, score_mask)
    dtype = torch.promote_types(at_least_float32(queries).dtype, at_least_float32(candidates).dtype)
    with torch.autocast(queries.device.type, enabled=False):
        scaled = queries.to(dtype) / temperature
        scored, rules = rules_of(
            len(queries),
            candidates.to(dtype),
            bias=None if sampling_probability is None else correction(sampling_probability, dtype),
            candidate_ids=candidate_ids,
            score_mask=score_mask,
            one_embedding_per_id=one_embedding_per_id,
        )
        return fused_softmax(
            scaled,
            scored,
            rules,
            reduction=reduction,
            sample_weight=sample_weight,
            precision=precision,
        )


def in_batch_scores(
    queries: Tensor,
    candidates: Tensor,
    *,
    temperature: float = 1.0,
    candidate_ids: Tensor | None = None,
    sampling_probability: Tensor | None = None,
    score_mask: Tensor | None = None,
    num_hard_negatives: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The scores that `in_batch_softmax` normalises, for a loss of your own.

    Temperature, logQ correction, accidental hits, mask and hard negatives are applied in that order.

    Args:
        queries: `[batch, dim]` or `[batch, heads, dim]`; see `in_batch_softmax` for this and the rest.
        candidates: `[num_candidates, dim]`.
        temperature: divides the scores.
        candidate_ids: `[num_candidates]` integers, or None.
        sampling_probability: `[num_candidates]`, or None.
        score_mask: `[batch, num_candidates]` bool, or None.
        num_hard_negatives: how many negatives to keep, or None.

    Returns:
        `[batch, width]` scores, where a candidate that does not count has `MASKED_SCORE`, and the
        `[batch]` int64 column of each query's positive. `width` is `num_candidates`, or with hard
        negatives at most one more than their number, the positive first.

    Raises:
        ConfigError: the temperature or the number of hard negatives is not positive.
        ShapeError: the arguments do not fit together.
    """
    check_settings(temperature, num_hard_negatives)
    _check_shapes(queries, candidates, candidate_ids, sampling_probability, score_mask)
    # Autocast would compute the product in half precision, whose 3 digits are less than a logit needs.
    dtype = torch.promote_types(at_least_float32(queries).dtype, at_least_float32(candidates).dtype)
    with torch.autocast(queries.device.type, enabled=False):
        # Dividing the queries is the same as dividing the scores, and touches far fewer numbers.
        scores = _similarity(queries.to(dtype) / temperature, candidates.to(dtype))
        if sampling_probability is not None:
            scores = scores + correction(sampling_probability, dtype)
        ignored = _ignored(len(queries), candidate_ids, score_mask)
        if ignored is not None:
            scores = scores.masked_fill(ignored, MASKED_SCORE)
        if num_hard_negatives is not None:
            scores = _keep_hardest(scores, num_hard_negatives)
            return scores, torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
    return scores, torch.arange(len(scores), device=scores.device)


def correction(sampling_probability: Tensor, dtype: torch.dtype) -> Tensor:
    """What the logQ correction adds to the scores.

    Args:
        sampling_probability: any shape; clipped to [1e-6, 1], and no gradient flows into it.
        dtype: of the scores.

    Returns:
        The same shape.
    """
    return -sampling_probability.detach().to(dtype).clamp(_SMALLEST_PROBABILITY, 1.0).log()


def _similarity(queries: Tensor, candidates: Tensor) -> Tensor:
    if queries.ndim == 2:
        return queries @ candidates.T
    batch, heads, dim = queries.shape
    by_head = queries.reshape(batch * heads, dim) @ candidates.T
    return by_head.reshape(batch, heads, len(candidates)).amax(dim=1)


def _ignored(batch: int, candidate_ids: Tensor | None, score_mask: Tensor | None) -> Tensor | None:
    # [batch, num_candidates], True where a candidate does not count; never the positive.
    ignored = None if score_mask is None else ~score_mask
    if candidate_ids is not None:
        hits = candidate_ids[:batch, None] == candidate_ids[None, :]
        ignored = hits if ignored is None else ignored | hits
    return None if ignored is None else ignored.fill_diagonal_(False)


def _keep_hardest(scores: Tensor, count: int) -> Tensor:
    # [batch, 1 + count]: the positive, then the highest negatives, highest first.
    positives = scores.diagonal()[:, None]
    diagonal = torch.eye(*scores.shape, dtype=torch.bool, device=scores.device)
    negatives = scores.masked_fill(diagonal, -torch.inf)
    kept = negatives.topk(min(count, scores.shape[1] - 1), dim=1).values
    return torch.cat([positives, kept], dim=1)


def check_settings(temperature: float, num_hard_negatives: int | None) -> None:
    """Refuse settings of the softmax that mean nothing.

    Args:
        temperature: must be positive and finite.
        num_hard_negatives: must be positive, or None.

    Raises:
        ConfigError: one is out of range.
    """
    if not 0 < temperature < float("inf"):
        raise ConfigError(
            f"temperature is {temperature}", remedy="pass a positive number; 0.05 suits normalised towers"
        )
    if num_hard_negatives is not None and num_hard_negatives < 1:
        raise ConfigError(
            f"num_hard_negatives is {num_hard_negatives}, which leaves nothing to learn from",
            remedy="pass a positive number, or None to keep every negative",
        )


def _check_shapes(
    queries: Tensor,
    candidates: Tensor,
    candidate_ids: Tensor | None,
    sampling_probability: Tensor | None,
    score_mask: Tensor | None,
) -> None:
    shapes = f"query embeddings {tuple(queries.shape)}, candidate embeddings {tuple(candidates.shape)}"
    if queries.ndim not in (2, 3) or candidates.ndim != 2 or queries.shape[-1] != candidates.shape[1]:
        raise ShapeError(
            f"the embeddings do not fit together: {shapes}",
            remedy="pass [batch, dim] or [batch, heads, dim] queries and [num_candidates, dim] candidates",
        )
    if len(candidates) < len(queries):
        raise ShapeError(
            f"there are fewer candidates than queries: {shapes}",
            remedy="pass one positive a query first, then any further negatives",
        )
    for name, values in (("candidate_ids", candidate_ids), ("sampling_probability", sampling_probability)):
        if values is not None and values.shape != candidates.shape[:1]:
            raise ShapeError(
                f"{name} is {tuple(values.shape)} for {len(candidates)} candidates",
                remedy="pass one entry a candidate, the further negatives included",
            )
    if score_mask is not None and (
        score_mask.dtype != torch.bool or score_mask.shape != (len(queries), len(candidates))
    ):
        raise ShapeError(
            f"score_mask is {score_mask.dtype} {tuple(score_mask.shape)} with {shapes}",
            remedy="pass bool [batch, num_candidates], True where a candidate counts",
        )
