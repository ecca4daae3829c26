"""Retrieval: bring each query near its own candidate and away from the others'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.errors import ConfigError, ShapeError
from shortlist.losses import full_softmax, in_batch_scores, in_batch_softmax, weighted_mean
from shortlist.losses.retrieval.fused_softmax import Precision, check_precision
from shortlist.losses.retrieval.in_batch_softmax import check_settings
from shortlist.metrics import Metric
from shortlist.tasks.negative_queue import Candidates, NegativeQueue
from shortlist.tasks.negatives import Negatives, Objective, check_negatives, sampled_loss
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
        correct_sampling_bias: whether to apply the logQ correction to candidates of batches.
        remove_accidental_hits: whether a negative that is the query's own item is left out.
        num_hard_negatives: keep only that many negatives, the highest scores; None keeps all.
        negatives: what each query's own item is told apart from: the other items of the "batch"; "mixed",
            those and `num_negatives` drawn uniformly from the catalogue; "sampled", the drawn ones alone;
            "catalogue", every item.
        num_negatives: how many items are drawn for each batch, for "mixed" and "sampled".
        queue_size: how many candidates of earlier batches are negatives too, for "batch" and "mixed"; see
            `NegativeQueue`.
        objective: "softmax", or "gbce" for `generalised_binary_cross_entropy` over "sampled" negatives.
        calibration: of "gbce", from 0 to 1.
        precision: of the softmax's products, "float32" or "bfloat16"; see `in_batch_softmax`.
        loss: a function of `[batch, width]` scores and `[batch, width]` one-hot labels that answers
            `[batch]` losses, in place of softmax cross-entropy. What does not count scores `MASKED_SCORE`.
        batch_metrics: updated with `(scores, labels, sample_weight=)` at every call, for example
            `InBatchTopK()`; they cost a whole score matrix, so there are none by default.
        sampling_buckets: size of the estimator, about that of the catalogue when it is larger than this;
            see `SamplingProbability`.

    Raises:
        ConfigError: a number is out of range, or one setting does not go with another.

    Source: Yi et al., Sampling-bias-corrected neural modeling (RecSys 2019); for "mixed", Yang et al.
    (WWW 2020 companion).
    """

    def __init__(
        self,
        *,
        temperature: float = 0.2,
        correct_sampling_bias: bool = True,
        remove_accidental_hits: bool = True,
        num_hard_negatives: int | None = None,
        negatives: Negatives = "batch",
        num_negatives: int = 1024,
        queue_size: int = 0,
        objective: Objective = "softmax",
        calibration: float = 0.75,
        precision: Precision = "float32",
        loss: Callable[[Tensor, Tensor], Tensor] | None = None,
        batch_metrics: Sequence[Metric] = (),
        sampling_buckets: int = 1 << 16,
    ) -> None:
        super().__init__()
        check_settings(temperature, num_hard_negatives)
        check_precision(precision)
        needs_scores = num_hard_negatives is not None or loss is not None or bool(batch_metrics)
        check_negatives(negatives, num_negatives, queue_size, objective, calibration, needs_scores)
        self.temperature = temperature
        self.correct_sampling_bias = correct_sampling_bias
        self.remove_accidental_hits = remove_accidental_hits
        self.num_hard_negatives = num_hard_negatives
        self.negatives, self.num_negatives = negatives, num_negatives
        self.objective, self.calibration = objective, calibration
        self.precision: Precision = precision
        self.loss = loss
        self.batch_metrics = list(batch_metrics)
        self.sampling_probability = SamplingProbability(num_buckets=sampling_buckets)
        self.queue = NegativeQueue(queue_size)

    def draw_negatives(self, num_items: int) -> Tensor:
        """Draw the items that a model embeds as negatives of everyone, below its batch's own.

        Args:
            num_items: size of the catalogue; indices go from 1 to it.

        Returns:
            `[num_negatives]` int64 from torch's generator; `[0]` where the task wants none.
        """
        count = self.num_negatives if self.negatives in ("mixed", "sampled") else 0
        return torch.randint(1, num_items + 1, (count,))

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
        targets: Tensor | None = None,
        num_items: int | None = None,
    ) -> Tensor:
        """The loss of a batch, a weighted mean.

        Args:
            query_embeddings: `[batch, dim]` float, or `[batch, heads, dim]`: the best head counts.
            candidate_embeddings: `[num_candidates, dim]`, `num_candidates >= batch`; row i is query i's
                positive and the rows from `batch` on are negatives of everyone, such as those of
                `draw_negatives`. For "catalogue", all items.
            candidate_ids: `[num_candidates]` integers; needed to remove accidental hits, and to correct the
                bias where no probability is given.
            sampling_probability: `[num_candidates]` chance of finding each candidate among the candidates
                (any constant factor cancels), clipped to [1e-6, 1]. Given once, nothing is estimated.
            sample_weight: `[batch]` non-negative; None weighs all queries alike.
            score_mask: `[batch, num_candidates]` bool, True where a negative counts.
            one_embedding_per_id: a promise that candidates with equal ids are equal in all of these, which
                saves most of the work where items repeat; see `in_batch_softmax`.
            targets: `[batch]` int64 row of each query's own item, for "catalogue".
            num_items: size of the catalogue, for "gbce" and to estimate the chances of "mixed" negatives.

        Returns:
            Scalar `sum(weight * loss) / sum(weight)`.

        Raises:
            ConfigError: a setting needs what is not given.
            ShapeError: the arguments do not fit together.
        """
        if (targets is None) == (self.negatives == "catalogue"):
            raise ConfigError(
                f"negatives are {self.negatives!r} and there are {'no ' if targets is None else ''}targets",
                remedy="pass targets=, each query's row among all items, for 'catalogue' and only there",
            )
        if targets is not None:
            return full_softmax(
                query_embeddings,
                candidate_embeddings,
                targets,
                temperature=self.temperature,
                score_mask=score_mask,
                reduction="mean",
                sample_weight=sample_weight,
                precision=self.precision,
            )
        if candidate_ids is None and self.remove_accidental_hits:
            raise ConfigError(
                "remove_accidental_hits is on but there are no candidate_ids",
                remedy="pass candidate_ids, or build the task with remove_accidental_hits=False",
            )
        if self.negatives == "sampled":
            return sampled_loss(
                query_embeddings,
                candidate_embeddings,
                candidate_ids if self.remove_accidental_hits else None,
                score_mask,
                temperature=self.temperature,
                objective=self.objective,
                calibration=self.calibration,
                num_items=num_items,
                sample_weight=sample_weight,
                precision=self.precision,
            )
        chances = self._probability(len(query_embeddings), candidate_ids, sampling_probability, num_items)
        candidates = Candidates(candidate_embeddings, candidate_ids, chances, score_mask)
        return self._in_batch_loss(query_embeddings, candidates, sample_weight, one_embedding_per_id)

    def config(self) -> dict[str, Any]:
        """The settings, for a file: `Retrieval(**config)` is the same task without its batch metrics.

        Returns:
            Numbers, words and booleans by argument name.

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
            "negatives": self.negatives,
            "num_negatives": self.num_negatives,
            "queue_size": self.queue.size,
            "objective": self.objective,
            "calibration": self.calibration,
            "precision": self.precision,
            "sampling_buckets": self.sampling_probability.num_buckets,
        }

    def extra_repr(self) -> str:
        """What `print` shows of it."""
        drawn = f", num_negatives={self.num_negatives}" if self.negatives in ("mixed", "sampled") else ""
        return (
            f"temperature={self.temperature}, correct_sampling_bias={self.correct_sampling_bias}, "
            f"remove_accidental_hits={self.remove_accidental_hits}, "
            f"num_hard_negatives={self.num_hard_negatives}, negatives={self.negatives!r}{drawn}"
        )

    def _in_batch_loss(
        self, queries: Tensor, own: Candidates, sample_weight: Tensor | None, one_embedding_per_id: bool
    ) -> Tensor:
        candidates = own
        if self.queue.size and self.training:
            candidates = self.queue.extend(own, len(queries))
        rules: _Rules = {
            "temperature": self.temperature,
            "candidate_ids": candidates.ids if self.remove_accidental_hits else None,
            "sampling_probability": candidates.probability,
            "score_mask": candidates.score_mask,
            "num_hard_negatives": self.num_hard_negatives,
        }
        if self.loss is None and not self.batch_metrics:
            return in_batch_softmax(
                queries,
                candidates.embeddings,
                **rules,
                # What the queue holds of an item is not what it is embedded to now.
                one_embedding_per_id=one_embedding_per_id and candidates is own,
                reduction="mean",
                sample_weight=sample_weight,
                precision=self.precision,
            )
        scores, targets = in_batch_scores(queries, candidates.embeddings, **rules)
        return weighted_mean(self._losses(scores, targets, sample_weight), sample_weight)

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

    def _probability(
        self, batch: int, candidate_ids: Tensor | None, given: Tensor | None, num_items: int | None
    ) -> Tensor | None:
        if not self.correct_sampling_bias or given is not None:
            return given if self.correct_sampling_bias else None
        if candidate_ids is None:
            raise ConfigError(
                "correct_sampling_bias is on but there is neither sampling_probability nor candidate_ids "
                "to estimate it from",
                remedy="pass one of them, or build the task with correct_sampling_bias=False",
            )
        mixed = self.negatives == "mixed"
        if mixed and num_items is None:
            raise ConfigError(
                "correct_sampling_bias is on with mixed negatives, but there is neither "
                "sampling_probability nor num_items",
                remedy="pass num_items, the size of the catalogue",
            )
        if self.training:
            self.sampling_probability.observe(candidate_ids[:batch] if mixed else candidate_ids)
        estimate: Tensor = self.sampling_probability(candidate_ids)
        if num_items is None or not mixed:
            return estimate
        # Expected numbers in the batch and the queue and among those drawn, scaled to at most 1.
        events, drawn = 1 + len(self.queue) / batch, (len(candidate_ids) - batch) / num_items
        return (estimate * events + drawn) / (events + drawn)
