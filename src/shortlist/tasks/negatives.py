"""Which negatives a retrieval task learns from, and what goes with what."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from shortlist.errors import ConfigError
from shortlist.losses import (
    generalised_binary_cross_entropy,
    sampled_scores,
    sampled_softmax,
    weighted_mean,
)
from shortlist.losses.retrieval.fused_softmax import Precision

Negatives = Literal["batch", "mixed", "sampled", "catalogue"]
Objective = Literal["softmax", "gbce"]


def check_negatives(
    negatives: str,
    num_negatives: int,
    queue_size: int,
    objective: str,
    calibration: float,
    needs_scores: bool,
) -> None:
    """Refuse settings that mean nothing, or not together.

    Args:
        negatives: one of `Negatives`.
        num_negatives: how many are drawn.
        queue_size: how many candidates of earlier batches are kept.
        objective: one of `Objective`.
        calibration: of gBCE.
        needs_scores: whether hard negatives, a loss of the caller's or metrics want the batch's scores.

    Raises:
        ConfigError: one is out of range, or does not go with another.
    """
    for name, value, known in (("negatives", negatives, Negatives), ("objective", objective, Objective)):
        if value not in get_args(known):
            raise ConfigError(f"{name} is {value!r}", remedy=f"pass one of {', '.join(get_args(known))}")
    if num_negatives < 1 or queue_size < 0 or not 0 <= calibration <= 1:
        raise ConfigError(
            f"num_negatives is {num_negatives}, queue_size is {queue_size}, calibration is {calibration}",
            remedy="draw at least 1, keep 0 or more, and calibrate from 0 to 1",
        )
    in_batch = negatives in ("batch", "mixed")
    if queue_size and not in_batch:
        raise ConfigError(
            f"queue_size is {queue_size}, but negatives are {negatives!r}, not of batches",
            remedy="leave the queue out, or take negatives='batch' or 'mixed'",
        )
    if needs_scores and not in_batch:
        raise ConfigError(
            f"hard negatives, a loss of your own and batch metrics need the batch's scores, but negatives "
            f"are {negatives!r}",
            remedy="leave them out, or take negatives='batch' or 'mixed'",
        )
    if objective == "gbce" and negatives != "sampled":
        raise ConfigError(
            f"objective 'gbce' is for drawn negatives, but negatives are {negatives!r}",
            remedy="take negatives='sampled', or objective='softmax'",
        )


def sampled_loss(
    queries: Tensor,
    candidates: Tensor,
    ids: Tensor | None,
    score_mask: Tensor | None,
    *,
    temperature: float,
    objective: Objective,
    calibration: float,
    num_items: int | None,
    sample_weight: Tensor | None,
    precision: Precision,
) -> Tensor:
    """The loss of a batch against drawn negatives alone, a weighted mean.

    Args:
        queries: `[batch, dim]` float.
        candidates: `[batch + num_negatives, dim]`; row i is query i's positive, the rest are drawn.
        ids: `[batch + num_negatives]` integers; a negative with the positive's id does not count.
        score_mask: `[batch, batch + num_negatives]` bool, True where a negative counts.
        temperature: divides the scores.
        objective: softmax or gBCE.
        calibration: of gBCE.
        num_items: size of the catalogue, for gBCE.
        sample_weight: `[batch]`, or None.
        precision: of the softmax's products.

    Raises:
        ConfigError: gBCE does not know the catalogue's size.
    """
    batch = len(queries)
    pair = candidates[:batch], candidates[batch:]
    positive_ids, negative_ids = (None, None) if ids is None else (ids[:batch], ids[batch:])
    mask = None if score_mask is None else score_mask[:, batch:]
    if objective == "softmax":
        # Uniform negatives all have the same chance, so there is no bias to correct.
        return sampled_softmax(
            queries,
            *pair,
            temperature=temperature,
            positive_ids=positive_ids,
            negative_ids=negative_ids,
            score_mask=mask,
            reduction="mean",
            sample_weight=sample_weight,
            precision=precision,
        )
    if num_items is None:
        raise ConfigError("objective 'gbce' needs num_items", remedy="pass the size of the catalogue")
    scores = sampled_scores(
        queries,
        *pair,
        temperature=temperature,
        positive_ids=positive_ids,
        negative_ids=negative_ids,
        score_mask=mask,
    )
    losses = generalised_binary_cross_entropy(*scores, num_items=num_items, calibration=calibration)
    return weighted_mean(losses, sample_weight)
