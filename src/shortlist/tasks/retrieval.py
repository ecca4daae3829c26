"""Retrieval: bring each query near its own candidate and away from the others'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from torch import Tensor, nn
from torch.nn import functional

from shortlist.errors import ConfigError, ShapeError
from shortlist.losses import in_batch_scores, in_batch_softmax, weighted_mean
from shortlist.losses.in_batch_softmax import check_settings
from shortlist.metrics import Metric
from shortlist.tasks.sampling_probability import SamplingProbability


class _Rules(TypedDict):
    temperature: float
    candidate_ids: Tensor | None
    sampling_probability: Tensor | None
    score_mask: Tensor | None
    num_hard_negatives: int | None


class Retrieval(nn.Module):
    """The loss of a two-tower model: softmax over the candidates of the batch, made honest.

    Popular items are negatives of others more often than rare ones. The logQ correction makes up for that,
    with a probability that is given, or estimated from the stream of candidate ids during training. Without
    it such a model often loses to plain popularity.

    Args:
        temperature: divides the scores; positive. 0.2 suits embeddings of unit length; use 1 for free ones.
        correct_sampling_bias: whether to apply the logQ correction.
        remove_accidental_hits: whether a negative that is the query's own item is left out.
        num_hard_negatives: keep only that many negatives, the highest scores; None keeps all.
        loss: a function of `[batch, width]` scores and `[batch, width]` one-hot labels that answers
            `[batch]` losses, in place of softmax cross-entropy. What does not count scores `MASKED_SCORE`.
        batch_metrics: updated with `(scores, labels, sample_weight=)` at every call, for example
            `InBatchTopK()`; they cost a whole score matrix, so there are none by default.
        sampling_buckets: size of the estimator, about that of the catalogue when it is larger than this;
            see `SamplingProbability`.

    Raises:
        ConfigError: the temperature, the number of hard negatives or of buckets is not positive.

    Source: Yi et al., Sampling-bias-corrected neural modeling (RecSys 2019).
    """

    def __init__(
        self,
        *,
        temperature: float = 0.2,
        correct_sampling_bias: bool = True,
        remove_accidental_hits: bool = True,
        num_hard_negatives: int | None = None,
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        batch_metrics: Sequence[Metric] = (),
        sampling_buckets: int = 1 << 16,
    ) -> None:
        super().__init__()
        check_settings(temperature, num_hard_negatives)
        self.temperature = temperature
        self.correct_sampling_bias = correct_sampling_bias
        self.remove_accidental_hits = remove_accidental_hits
        self.num_hard_negatives = num_hard_negatives
        self.loss = loss
        self.batch_metrics = list(batch_metrics)
        self.sampling_probability = SamplingProbability(num_buckets=sampling_buckets)

    def forward(
        self,
        query_embeddings: Tensor,
        candidate_embeddings: Tensor,
        *,
        candidate_ids: Tensor | None = None,
        sampling_probability: Tensor | None = None,
        sample_weight: Tensor | None = None,
        score_mask: Tensor | None = None,
        one_embedding_per_id: bool = False,
    ) -> Tensor:
        """The loss of a batch, a weighted mean.

        Args:
            query_embeddings: `[batch, dim]` float, or `[batch, heads, dim]`: the best head counts.
            candidate_embeddings: `[num_candidates, dim]`, `num_candidates >= batch`; row i is query i's
                positive and the rows from `batch` on are negatives of everyone.
            candidate_ids: `[num_candidates]` integers; needed to remove accidental hits, and to correct the
                bias where no probability is given.
            sampling_probability: `[num_candidates]` chance of finding each candidate in a batch (any constant
                factor cancels), clipped to [1e-6, 1]. Given once, nothing is estimated.
            sample_weight: `[batch]` non-negative; None weighs all queries alike.
            score_mask: `[batch, num_candidates]` bool, True where a negative counts.
            one_embedding_per_id: a promise that candidates with equal ids are equal in all of these, which
                saves most of the work where items repeat; see `in_batch_softmax`.

        Returns:
            Scalar `sum(weight * loss) / sum(weight)`.

        Raises:
            ConfigError: a setting needs ids or probabilities that are not given.
            ShapeError: the arguments do not fit together.
        """
        if candidate_ids is None and self.remove_accidental_hits:
            raise ConfigError(
                "remove_accidental_hits is on but there are no candidate_ids",
                remedy="pass candidate_ids, or build the task with remove_accidental_hits=False",
            )
        rules: _Rules = {
            "temperature": self.temperature,
            "candidate_ids": candidate_ids if self.remove_accidental_hits else None,
            "sampling_probability": self._probability(candidate_ids, sampling_probability),
            "score_mask": score_mask,
            "num_hard_negatives": self.num_hard_negatives,
        }
        if self.loss is None and not self.batch_metrics:
            return in_batch_softmax(
                query_embeddings,
                candidate_embeddings,
                **rules,
                one_embedding_per_id=one_embedding_per_id,
                reduction="mean",
                sample_weight=sample_weight,
            )
        scores, targets = in_batch_scores(query_embeddings, candidate_embeddings, **rules)
        return weighted_mean(self._losses(scores, targets, sample_weight), sample_weight)

    def config(self) -> dict[str, Any]:
        """The settings, for a file: `Retrieval(**config)` is the same task without its batch metrics.

        Returns:
            Numbers and booleans by argument name.

        Raises:
            ConfigError: the loss is a function of the caller's, which a file can't hold.
        """
        if self.loss is not None:
            raise ConfigError(
                "a Retrieval task with a loss of your own can't be written to a file",
                remedy="save the model's state_dict() and build the task in code",
            )
        return {
            "temperature": self.temperature,
            "correct_sampling_bias": self.correct_sampling_bias,
            "remove_accidental_hits": self.remove_accidental_hits,
            "num_hard_negatives": self.num_hard_negatives,
            "sampling_buckets": self.sampling_probability.num_buckets,
        }

    def extra_repr(self) -> str:
        """What `print` shows of it."""
        return (
            f"temperature={self.temperature}, correct_sampling_bias={self.correct_sampling_bias}, "
            f"remove_accidental_hits={self.remove_accidental_hits}, "
            f"num_hard_negatives={self.num_hard_negatives}"
        )

    def _losses(self, scores: Tensor, targets: Tensor, sample_weight: Tensor | None) -> Tensor:
        labels = functional.one_hot(targets, scores.shape[1]).to(scores.dtype)
        for metric in self.batch_metrics:
            metric.update(scores.detach(), labels, sample_weight=sample_weight)
        if self.loss is None:
            return functional.cross_entropy(scores, targets, reduction="none")
        losses = self.loss(scores, labels)
        if losses.shape != scores.shape[:1]:
            raise ShapeError(
                f"the task's loss answers {tuple(losses.shape)} for scores of shape {tuple(scores.shape)}",
                remedy="answer one loss a row, without a mean or a sum over the batch",
            )
        return losses

    def _probability(self, candidate_ids: Tensor | None, given: Tensor | None) -> Tensor | None:
        if not self.correct_sampling_bias or given is not None:
            return given if self.correct_sampling_bias else None
        if candidate_ids is None:
            raise ConfigError(
                "correct_sampling_bias is on but there is neither sampling_probability nor candidate_ids "
                "to estimate it from",
                remedy="pass one of them, or build the task with correct_sampling_bias=False",
            )
        if self.training:
            self.sampling_probability.observe(candidate_ids)
        estimate: Tensor = self.sampling_probability(candidate_ids)
        return estimate
