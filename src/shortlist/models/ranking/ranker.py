"""A ranker: how much a user wants an item, from the features of both and the scores of the retrievers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.dataset import Dataset
from shortlist.data.feature_space import Batch, FeatureSpace, dense
from shortlist.data.features import Feature, feature_from_dict
from shortlist.data.loader import BatchLoader
from shortlist.data.ragged import Ragged
from shortlist.data.rebinding import check_same_ids, rebound
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, did_you_mean
from shortlist.models.model import VALIDATION_BATCH, Model, TrainingOptions
from shortlist.models.ranking.fused_events import fused_event_loss
from shortlist.models.ranking.list_loader import ListLoader, RankingLists, list_batch
from shortlist.models.ranking.list_losses import LIST_LOSSES, LOSSES, Loss
from shortlist.models.ranking.objective_heads import ObjectiveHeads, ObjectiveLoader
from shortlist.models.ranking.objectives import Objectives
from shortlist.models.ranking.ranker_checks import check_body, check_labels, check_lists, check_objectives
from shortlist.models.ranking.ranker_scorer import Scorer
from shortlist.models.ranking.single_events import event_loss, event_metrics
from shortlist.nn.bodies import DCN, Body, FieldLayout, body_from_dict
from shortlist.nn.bodies.body import side_by_side
from shortlist.nn.fields import Fields, FirstOrder
from shortlist.tasks import ListwiseRanking
from shortlist.training import TrainingHistory
from shortlist.training import fit as train
from shortlist.training.batches import to_device

REQUEST_BATCH = 128  # requests scored together; bounds the memory


class Ranker(Model):
    """A click model over user, item, context and retrieval scores; by default DCN-v2 (Wang et al. 2021).

    Its parts are `fields`, the encoders of the features, `first_order`, a weight for every value of every
    feature where the body asks for them, and `network`, which the body makes.

    Args:
        query: features of the user, of the moment and of the history; a `History` with `pooling="target"` is
            seen in the light of each candidate (DIN).
        candidate: features of the item.
        scores: names of score features of the candidates, such as `score_twotower` (`score_` and the
            retriever's name); each is read relative to the other candidates of its request.
        body: what stands between the embeddings and the score, one of `shortlist.nn.bodies`; None is the
            stacked `DCN` that the next three arguments describe.
        dim: width of the features' embeddings.
        embedding_scale: standard deviation of the tables' first weights; `dim ** -0.5` by default. With many
            rare values a small one such as 0.01 does better.
        cross_layers: how many times features are crossed.
        hidden: widths of the layers after the crosses.
        dropout: share of the hidden units that training hides.
        loss: `"softmax"`, `"lambdaloss"`, `"approx_ndcg"` or `"list_mle"` over the candidates of a request,
            `"click"` (binary cross-entropy of a label from 0 to 1) or `"rating"` (squared error).
        objectives: several labels to learn at once, in place of the loss and of a body; the score is their
            weighted sum.

    Raises:
        ConfigError: the loss is unknown, there is no feature at all, a number is out of range, the body
            cannot read a feature or is given beside arguments that describe another, or the objectives
            contradict the rest.
    """

    centre: Tensor  # where predicted ratings start

    def __init__(
        self,
        query: Sequence[Feature] = (),
        candidate: Sequence[Feature] = (),
        *,
        scores: Sequence[str] = (),
        body: Body | None = None,
        dim: int = 16,
        embedding_scale: float | None = None,
        cross_layers: int = 2,
        hidden: Sequence[int] = (64,),
        dropout: float = 0.1,
        loss: Loss = "softmax",
        objectives: Objectives | None = None,
    ) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise ConfigError(f"loss {loss!r} is unknown", where="Ranker", remedy=did_you_mean(loss, LOSSES))
        if not (query or candidate or scores):
            raise ConfigError(
                "a ranker needs at least one feature", remedy='such as candidate=[sl.Id("item_id")]'
            )
        self.query_features, self.candidate_features = tuple(query), tuple(candidate)
        self.scores, self.dim, self.embedding_scale = tuple(scores), dim, embedding_scale
        described = DCN(cross_layers=cross_layers, hidden=hidden, dropout=dropout)
        self.body, self.loss, self.objectives = body or described, loss, objectives
        check_body(self, body, described)
        if objectives is not None:
            check_objectives(self, objectives)
        self._scorer: Scorer | None = None  # of the weights as they were when it was last asked
        if loss in LIST_LOSSES:
            self.task = ListwiseRanking(loss=LIST_LOSSES[loss])

    def config(self) -> dict[str, Any]:
        """The arguments that make an equal ranker, in a form that JSON can hold."""
        return {
            "query": [feature.to_dict() for feature in self.query_features],
            "candidate": [feature.to_dict() for feature in self.candidate_features],
            "scores": list(self.scores),
            "body": self.body.to_dict(),
            "dim": self.dim,
            "embedding_scale": self.embedding_scale,
            "loss": self.loss,
            "objectives": None if self.objectives is None else self.objectives.to_dict(),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Ranker:
        """The reverse of `config`."""
        sides = {side: [feature_from_dict(each) for each in config[side]] for side in ("query", "candidate")}
        saved, body = config.get("objectives"), body_from_dict(config["body"])
        if saved is not None:
            assert isinstance(body, DCN)
            shared = {"cross_layers": body.cross_layers, "hidden": body.hidden, "dropout": body.dropout}
            return cls(
                **{**config, **sides, **shared, "body": None, "objectives": Objectives.from_dict(saved)}
            )
        return cls(**{**config, **sides, "body": body})

    def features(self, data: Dataset) -> tuple[list[Feature], list[Feature]]:
        """The features of the query and of the candidate."""
        return list(self.query_features), list(self.candidate_features)

    def build(self, data: Dataset, *, seed: int = 0) -> FeatureSpace:
        """See `Model.build`; predicted ratings start at the mean of the train part's.

        Args:
            data: the train part.
            seed: of the initial weights.
        """
        is_new = self.space is None
        space = super().build(data, seed=seed)
        if is_new and self.loss == "rating" and data.labels is not None:
            self.centre.fill_(float(data.labels[data.is_label].mean()))
        return space

    def build_layers(self, *, seed: int = 0) -> None:
        """Make the encoders of the features and the body's network."""
        features = (self.query_features, self.candidate_features, self.fitted_space().encodings)
        num_scores = len(self.scores)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.fields: Fields | None = None
            self.first_order: FirstOrder | None = None
            layout = FieldLayout((), (), self.dim)
            if self.body.has_fields:
                self.fields = Fields(
                    *features,
                    dim=self.dim,
                    num_scores=num_scores,
                    one_width=self.body.one_width,
                    scale=self.embedding_scale,
                )
                layout = self.fields.layout
            if self.objectives is not None:
                assert isinstance(self.body, DCN)
                self.heads = ObjectiveHeads(
                    layout.total,
                    self.objectives,
                    cross_layers=self.body.cross_layers,
                    hidden=self.body.hidden,
                    dropout=self.body.dropout,
                )
                return
            self.network = self.body.build(layout)
            if self.body.first_order:
                self.first_order = FirstOrder(*features, num_scores=num_scores)
        if self.loss == "rating":
            self.register_buffer("centre", torch.zeros(()))

    def fit_lists(
        self,
        data: Dataset,
        lists: RankingLists,
        *,
        epochs: int = 10,
        batch_size: int = 64,
        negatives: int = 50,
        learning_rate: float | None = 3e-3,
        seed: int = 0,
        **options: Unpack[TrainingOptions],
    ) -> TrainingHistory:
        """Train on the candidates that retrievers found, so that the ranker learns to mend their mistakes.

        Args:
            data: the train part, for the features' encodings.
            lists: requests, candidates and labels; the retrievers should not have seen the labels.
            epochs: how often to go through the lists.
            batch_size: requests a step.
            negatives: how many candidates that were not wanted a list keeps, drawn anew every epoch.
            learning_rate: of the optimizer to be made; None for one that is given.
            seed: of the initial weights, the order and dropout.
            **options: see `shortlist.training.fit`.

        Returns:
            Loss and seconds of each epoch.
        """
        check_lists(self)
        space = self.build(data, seed=seed)
        loader = ListLoader(
            lists, space, scores=self.scores, batch_size=batch_size, negatives=negatives, seed=seed
        )
        return train(self, loader, epochs=epochs, learning_rate=learning_rate, seed=seed, **options)

    def make_loader(self, data: Dataset, *, batch_size: int, seed: int) -> BatchLoader:
        """Every labelled event for itself, negative ones too: for clicks and ratings."""
        if self.objectives is not None:
            return ObjectiveLoader(
                data, self.fitted_space(), self.objectives, batch_size=batch_size, seed=seed
            )
        if self.loss in LIST_LOSSES or self.scores:
            raise ConfigError(
                "a ranker with a loss over lists, or with retrieval scores, learns from lists of candidates",
                remedy="call shortlist.rank.fit(ranker, retrievers, data), or set loss='click' or 'rating'",
            )
        check_labels(data, self.loss)
        rows = torch.from_numpy(data.is_label).nonzero().flatten()
        return BatchLoader(data, self.fitted_space(), batch_size=batch_size, rows=rows, seed=seed)

    def forward(self, batch: Batch) -> Tensor:
        """The logit, the predicted rating or the objectives' weighted sum, of each candidate of a batch.

        Args:
            batch: see `list_batch`; without `row`, each request has one candidate.

        Returns:
            `[total]`.
        """
        if self.objectives is not None:
            return self.heads.score(self.inputs(batch))
        score: Tensor = self.network([] if self.fields is None else self.fields(batch))
        if self.first_order is not None:
            score = score + self.first_order(batch)
        return score + self.centre if self.loss == "rating" else score

    def inputs(self, batch: Batch) -> Tensor:
        """What the layers after the encoders read: all features of each candidate, side by side.

        Args:
            batch: see `list_batch`.

        Returns:
            `[total, width]`.
        """
        assert self.fields is not None
        return side_by_side(self.fields(batch))

    def compute_loss(self, batch: Batch) -> Tensor:
        """The loss of a batch of lists, or of single labelled events."""
        if self.objectives is not None:
            assert self.fields is not None
            labels, weights = dense(batch, "labels"), dense(batch, "weight")
            encoders = self.fields.parameters()
            return self.heads.compute_loss(self.inputs(batch), labels, weights=weights, encoders=encoders)
        if self.loss in ("click", "rating") and type(self).forward is Ranker.forward:
            fused = fused_event_loss(self, batch, self.loss)
            if fused is not None:
                return fused
        logits = self(batch)
        if self.loss in LIST_LOSSES:
            lists = Ragged.from_lengths(logits, torch.bincount(dense(batch, "row")))
            return self.task(lists, dense(batch, "label"))  # type: ignore[no-any-return]
        return event_loss(logits, batch, self.loss)

    def validate(self, data: Dataset) -> Mapping[str, float]:
        """How well single events are predicted: what `monitor` may name.

        Args:
            data: the validation part.

        Returns:
            `validation_loss`; without objectives also `rmse` of ratings, and `auc` of clicks where
            all labels are 0 or 1.

        Raises:
            ConfigError: the ranker learns from lists, or was trained on other data.
        """
        if self.objectives is not None:
            return super().validate(data)
        remedy = "validate on the test part of the split whose train part it is fitted on"
        check_same_ids(self.fitted_space(), data, what="this Ranker", remedy=remedy)
        device = next(self.parameters()).device
        loader = self.make_loader(data, batch_size=VALIDATION_BATCH, seed=0)
        return event_metrics(self, (to_device(batch, device) for batch in loader.epoch(0)), self.loss)

    def bound_to(self, data: Dataset) -> Ranker:
        """This ranker for the users and items of other data than it was trained on.

        A ranker learns from recent events, which its own train part does not hold; the funnel then stands on
        all of them, where the same item has another index. Ids keep the embeddings that they learned.

        Args:
            data: whose users and items it will score.

        Returns:
            The ranker itself where the indices are the same, else one that shares its weights.

        Raises:
            NotFittedError: it was not trained.
        """
        space = rebound(self.fitted_space(), data)
        if space is self.space:
            return self
        bound = copy.copy(self)
        bound.space = space
        return bound

    def with_items(self, data: Dataset, rows: Tensor) -> Ranker:
        """This ranker for more items.

        Args:
            data: that `shortlist.data.growth.with_items` made.
            rows: `[n]` int64 indices of the items that are new or described anew.

        Returns:
            A ranker that shares this one's weights.
        """
        grown = copy.copy(self)
        grown.space = self.fitted_space().with_items(data, rows)
        scorer = self._current_scorer()
        grown._scorer = None if scorer is None else scorer.with_items(grown.space, rows)
        return grown

    @torch.inference_mode()
    def score_candidates(self, requests: Requests, candidates: Candidates) -> Tensor:
        """How much each request wants each of its candidates.

        Args:
            requests: who asks.
            candidates: one row a request, with the score features that the ranker was trained with.

        Returns:
            `[total]` float32.
        """
        if len(requests) <= REQUEST_BATCH:
            return self._score(requests, candidates)
        bounds, parts = candidates.items.offsets, []
        for rows in torch.split(torch.arange(len(requests)), REQUEST_BATCH):
            positions = torch.arange(int(bounds[rows[0]]), int(bounds[rows[-1] + 1]))
            some = candidates.take(positions, candidates.lengths[rows])
            parts.append(self._score(requests.take(rows), some))
        return torch.cat(parts)

    def _score(self, requests: Requests, candidates: Candidates) -> Tensor:
        """The scores of a few requests' candidates, in the fastest way that gives them."""
        space, scorer = self.fitted_space(), self._current_scorer()
        if scorer is not None:
            return scorer.score(requests, candidates)
        batch = list_batch(requests, candidates, space, self.scores)
        device = next(self.parameters()).device
        return self(to_device(batch, device)).float().cpu()  # type: ignore[no-any-return]

    def _current_scorer(self) -> Scorer | None:
        """The scorer of the weights as they are now; None where only the layers can give the scores."""
        if self.training or type(self).forward is not Ranker.forward:
            return None
        if self._scorer is None or not self._scorer.stands_for(self):
            self._scorer = Scorer.of(self)
        return self._scorer
