"""Every feature of a request and of a candidate as a field: what the bodies of rankers read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import cast

import torch
from torch import Tensor, nn

from shortlist.data.encodings import Encoding
from shortlist.data.feature_space import Batch, dense, take
from shortlist.data.features import Feature, History, Timestamp, Vector
from shortlist.errors import ConfigError
from shortlist.kernels.event_networks import Distinct, Part
from shortlist.nn.bodies import Body, FieldLayout
from shortlist.nn.embedding import Embedding
from shortlist.nn.encoders import DenseEncoder, build_encoder
from shortlist.nn.target_attention import TargetHistoryEncoder

SCORE_WIDTH = 3  # numbers that say how a retrieval score compares within its list


class Fields(nn.Module):
    """The encoders of all features, side by side.

    Args:
        query: features of the request.
        candidate: features of the candidate.
        encodings: what each feature learned from the data, by the feature's name.
        dim: width of the embeddings.
        num_scores: how many retrieval scores a candidate has.
        one_width: whether every field is `dim` wide, numbers and scores too; otherwise these are passed on
            as they are, all scores as one field.
        scale: standard deviation of the tables' first weights; None for that of `Embedding`.

    """

    def __init__(
        self,
        query: Sequence[Feature],
        candidate: Sequence[Feature],
        encodings: Mapping[str, Encoding],
        *,
        dim: int,
        num_scores: int = 0,
        one_width: bool = False,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        self.query_features, self.candidate_features = tuple(query), tuple(candidate)

        def encoders(features: Sequence[Feature]) -> nn.ModuleList:
            return nn.ModuleList(
                build_encoder(each, encodings[each.name], dim, project=one_width) for each in features
            )

        self.query, self.candidate = encoders(query), encoders(candidate)
        parts = num_scores if one_width else min(num_scores, 1)
        width = SCORE_WIDTH if one_width else SCORE_WIDTH * num_scores
        self.scores = nn.ModuleList(DenseEncoder(width, dim if one_width else None) for _ in range(parts))
        if scale is not None:
            self._rescale(scale)
        self.layout = FieldLayout(
            query=_widths(self.query),
            candidate=_widths(self.candidate) + _widths(self.scores),
            dim=dim,
        )

    def forward(self, batch: Batch) -> list[Tensor]:
        """Embed a batch.

        Args:
            batch: the request's features, one row a request; the candidate's, and `scores`, one row a
                candidate; and `row`, `[n]` int64, each candidate's request. Without `row`, each request has
                one candidate.

        Returns:
            `[n, width]` for each field, in the order of the layout.
        """
        rows = dense(batch, "row") if "row" in batch else None
        fields: list[Tensor] = []
        for encoder, feature in zip(self.query, self.query_features, strict=True):
            entry = batch[feature.name]
            if isinstance(encoder, TargetHistoryEncoder) and isinstance(feature, History):
                own = torch.arange(len(entry), device=entry.device) if rows is None else rows
                fields.append(encoder(entry, dense(batch, feature.target_name), own))
            else:
                fields.append(encoder(entry) if rows is None else encoder(entry)[rows])
        for encoder, feature in zip(self.candidate, self.candidate_features, strict=True):
            fields.append(encoder(batch[feature.name]))
        if len(self.scores) > 0:
            parts = dense(batch, "scores").chunk(len(self.scores), dim=1)
            fields += [encoder(part) for encoder, part in zip(self.scores, parts, strict=True)]
        return fields

    def parts(self, batch: Batch, distinct: Mapping[str, Distinct]) -> list[Part]:
        """Embed a batch of single events, whose users and items come again and again, each of them once.

        Args:
            batch: one row an event.
            distinct: the rows of the batch that differ in a feature, by its name; without an entry all do.

        Returns:
            The fields side by side, in the order of the layout; neighbours of one kind are one part.
        """
        query = zip(self.query, self.query_features, strict=True)
        candidate = zip(self.candidate, self.candidate_features, strict=True)
        parts = []
        for _, run in groupby([*query, *candidate], key=lambda pair: id(distinct.get(pair[1].name))):
            pairs = list(run)
            known = distinct.get(pairs[0][1].name)
            fields = [_encoded(encoder, feature, batch, known) for encoder, feature in pairs]
            rows = fields[0] if len(fields) == 1 else torch.cat(fields, dim=1)
            parts.append(Part(rows, None if known is None else known.index))
        return parts

    def _rescale(self, scale: float) -> None:
        for module in self.modules():
            if isinstance(module, Embedding):
                module.scale = scale
                module.reset_parameters()


class FirstOrder(nn.Module):
    """A weight for every value of every feature, added up: what is wide in Wide & Deep.

    The weights start at 0. A history counts by the mean weight of its events.

    Args:
        query: features of the request.
        candidate: features of the candidate.
        encodings: what each feature learned from the data, by the feature's name.
        num_scores: how many retrieval scores a candidate has.
    """

    def __init__(
        self,
        query: Sequence[Feature],
        candidate: Sequence[Feature],
        encodings: Mapping[str, Encoding],
        *,
        num_scores: int = 0,
    ) -> None:
        super().__init__()
        plain = [[_first_order(each) for each in side] for side in (query, candidate)]
        self.fields = Fields(plain[0], plain[1], encodings, dim=1, num_scores=num_scores, one_width=True)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, batch: Batch) -> Tensor:
        """The sum of the weights of each candidate.

        Args:
            batch: see `Fields.forward`.

        Returns:
            `[n]`.
        """
        return torch.cat(self.fields(batch), dim=1).sum(dim=1)


def _encoded(encoder: nn.Module, feature: Feature, batch: Batch, distinct: Distinct | None) -> Tensor:
    """A field of a batch of single events, or of those that differ."""
    entry = batch[feature.name]
    if isinstance(encoder, TargetHistoryEncoder) and isinstance(feature, History):
        return encoder(entry, dense(batch, feature.target_name), torch.arange(len(entry)))  # type: ignore[no-any-return]
    return encoder(entry if distinct is None else take(entry, distinct.rows))  # type: ignore[no-any-return]


def _first_order(feature: Feature) -> Feature:
    """The feature with a single weight for each value."""
    if isinstance(feature, History):
        return replace(feature, dim=None, pooling="mean")
    if isinstance(feature, Timestamp | Vector):
        return feature
    return replace(feature, dim=None)  # type: ignore[call-arg]  # all others have one


def check_features(body: Body, query: Sequence[Feature], candidate: Sequence[Feature], *, dim: int) -> None:
    """Refuse features that a body cannot read.

    Args:
        body: of the ranker.
        query: features of the request.
        candidate: features of the candidate.
        dim: width of the embeddings.

    Raises:
        ConfigError: the body multiplies fields and one has a width of its own, or it wants a history in the
            light of the candidate and there is none.
    """
    kind = type(body).__name__
    targets = [each for each in query if isinstance(each, History) and each.pooling == "target"]
    if body.needs_target_history and not targets:
        raise ConfigError(
            "no feature is a history in the light of the candidate",
            where=kind,
            remedy='add sl.History("item_id", pooling="target") to the query, or take another body',
        )
    for feature in (*query, *candidate) if body.one_width else ():
        own = getattr(feature, "dim", None)
        if own not in (None, dim):
            raise ConfigError(
                f"{kind} reads fields of one width, {dim}, but this feature asks for {own}",
                where=f"{type(feature).__name__}({feature.column!r})",
                remedy="leave the feature's dim out, or take a body that reads any widths, such as DCN",
            )


def _widths(encoders: nn.ModuleList) -> tuple[int, ...]:
    return tuple(cast(int, encoder.dim) for encoder in encoders)
