"""A `Ranker` over one request and its candidates: rows of a table and raw scores in, scores out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from shortlist.data.feature_space import FeatureSpace, dense
from shortlist.data.features import Feature, History
from shortlist.export.contents import Contents
from shortlist.export.dense_features import DenseFeature, Inputs, dense_feature, history_table
from shortlist.export.dense_target import DenseTargetHistory
from shortlist.export.manifest import DeviceInput
from shortlist.models.ranking.ranker import Ranker
from shortlist.nn.fields import Fields
from shortlist.nn.target_attention import TargetHistoryEncoder


class DenseFields(nn.Module):
    """The fields of one request's candidates.

    Args:
        query: the request's features; a `DenseTargetHistory` also sees the candidates.
        widths: of the candidates' fields and then of what the target histories compare, as in the table.
        scores: encoders of the retrieval scores.
    """

    def __init__(self, query: Sequence[nn.Module], widths: Sequence[int], scores: nn.ModuleList) -> None:
        super().__init__()
        self.query, self.widths, self.scores = nn.ModuleList(query), tuple(widths), scores

    @property
    def names(self) -> tuple[str, ...]:
        """The request's inputs."""
        return tuple(dict.fromkeys(name for each in self.query for name in cast(DenseFeature, each).names))

    def forward(self, inputs: Inputs, items: Tensor | None, relative: Tensor | None) -> list[Tensor]:
        """`[n, width]` for each field.

        Args:
            inputs: of the request, `[1, …]` each.
            items: `[n, sum of widths]`, where there is a candidate feature.
            relative: `[n, 3 * scores]`, where there are scores.
        """
        parts = [] if items is None else list(torch.split(items, list(self.widths), dim=1))
        rows = (items if relative is None else relative).shape[0]  # type: ignore[union-attr]  # one is there
        targets = sum(isinstance(each, DenseTargetHistory) for each in self.query)
        own, compared = parts[: len(parts) - targets], iter(parts[len(parts) - targets :])
        fields = [
            each(inputs, next(compared))
            if isinstance(each, DenseTargetHistory)
            else each(inputs).expand(rows, -1)
            for each in self.query
        ]
        fields += own
        if relative is not None and len(self.scores) > 0:
            chunks = torch.split(relative, relative.shape[1] // len(self.scores), dim=1)
            fields += [encoder(part) for encoder, part in zip(self.scores, chunks, strict=True)]
        return fields


class DenseRanker(nn.Module):
    """A trained ranker.

    Args:
        ranker: with the body's network.
        fields: the fields that the network reads, or None.
        first_order: the fields of the first-order weights, or None.
        mean: `[width]` of the columns of the candidates' table, which holds standardised numbers.
        deviation: `[width]` of these columns.
        calibration: from scores to what the stages after are given, or None.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        ranker: Ranker,
        fields: DenseFields | None,
        first_order: DenseFields | None,
        *,
        mean: Tensor,
        deviation: Tensor,
        calibration: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.fields, self.first_order, self.calibration = fields, first_order, calibration
        self.network = ranker.network if ranker.objectives is None else None
        self.heads = None if ranker.objectives is None else ranker.heads
        self.centre = float(ranker.centre) if ranker.loss == "rating" else 0.0
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    @property
    def names(self) -> tuple[str, ...]:
        """The request's inputs."""
        parts = [each.names for each in (self.fields, self.first_order) if each is not None]
        return tuple(dict.fromkeys(name for names in parts for name in names))

    def forward(self, inputs: Inputs) -> Tensor | tuple[Tensor, Tensor]:
        """`[n]` scores, and calibrated ones where there is a calibration."""
        scores = self.score(inputs)
        return scores if self.calibration is None else (scores, self.calibration(scores))

    def score(self, inputs: Inputs) -> Tensor:
        """`[n]` scores.

        Args:
            inputs: of the request, and `items` and `scores` of its candidates.
        """
        items = inputs["items"] * self.deviation + self.mean if "items" in inputs else None
        relative = relative_scores(inputs["scores"]) if "scores" in inputs else None
        width = 0 if self.fields is None else sum(self.fields.widths)
        own = None if items is None or width == 0 else items[:, :width]
        fields = [] if self.fields is None else self.fields(inputs, own, relative)
        if self.heads is not None:
            return self.heads.score(torch.cat(fields, dim=1))
        assert self.network is not None
        score: Tensor = self.network(fields)
        if self.first_order is not None:
            rest = None if items is None or not self.first_order.widths else items[:, width:]
            score = score + torch.cat(self.first_order(inputs, rest, relative), dim=1).sum(dim=1)
        return score + self.centre


def relative_scores(scores: Tensor) -> Tensor:
    """`relative_columns` of one request's candidates.

    Args:
        scores: `[n, retrievers]` raw scores.

    Returns:
        `[n, 3 * retrievers]`.
    """
    # In double precision: where all scores are equal, a rounded mean would be taken for a deviation.
    wide = scores.double()
    centred = wide - wide.mean(0)
    # A constant below 1e-8 is taken for 0, and its sum left out, when an exported graph is simplified. So the
    # 1e-9 that keeps the deviation from 0 is written as 1, and the rest a billion times as large.
    standard = (1e9 * centred / (1e9 * centred.square().mean(0).sqrt() + 1)).float()
    order = _falling(scores)
    places = torch.arange(scores.shape[0], device=scores.device)[:, None].expand_as(order)
    ranks = torch.zeros_like(order).scatter(0, order, places).float() + 1
    return torch.stack([standard, ranks.log() / 5, 1 / ranks], dim=2).flatten(1)


def _falling(scores: Tensor) -> Tensor:
    """`[n, columns]` the places of each column's scores by falling score, equal ones by place."""
    if torch.onnx.is_in_onnx_export():
        return torch.topk(scores, scores.shape[0], dim=0).indices  # ONNX's takes equal ones by place
    return torch.sort(scores, dim=0, descending=True, stable=True).indices


def dense_ranker(
    ranker: Ranker, contents: Contents, *, calibration: nn.Module | None = None
) -> tuple[DenseRanker, str | None]:
    """The dense form of a ranker; its inputs and tables are added.

    Args:
        ranker: trained, bound to the funnel's data.
        contents: of the export.
        calibration: the dense form of the calibration of its scores, or None.

    Returns:
        The model, and the name of the table of candidates, or None where it reads none.

    Raises:
        ConfigError: a device cannot fill a feature.
    """
    space, columns = ranker.fitted_space(), list[Tensor]()
    fields = None if ranker.fields is None else _dense_fields(ranker.fields, space, contents, columns)
    first_order = None
    if ranker.first_order is not None:
        first_order = _dense_fields(ranker.first_order.fields, space, contents, columns)
    table, mean, deviation = None, torch.zeros(0), torch.ones(0)
    if columns:
        numbers = torch.cat(columns, dim=1)
        mean, deviation = numbers[1:].mean(0), numbers[1:].std(0, correction=0)
        # Columns of one scale, since small codes share a scale a row.
        deviation = torch.where(deviation > 1e-6, deviation, 1.0)
        table = contents.add_table("rank_items", ((numbers - mean) / deviation).numpy())
    dense_form = DenseRanker(
        ranker, fields, first_order, mean=mean, deviation=deviation, calibration=calibration
    )
    return dense_form, table


def _dense_fields(
    fields: Fields, space: FeatureSpace, contents: Contents, columns: list[Tensor]
) -> DenseFields:
    """The fields in their dense form; what they read of the candidates is added to the columns."""
    items = torch.from_numpy(contents.rows)
    batch = space.candidate_batch(items)
    parts: list[Tensor] = []
    with torch.no_grad():
        for feature, encoder in zip(fields.candidate_features, fields.candidate, strict=True):
            parts.append(encoder(batch[feature.name]).float())
        query = [
            _query_feature(feature, encoder, space, contents)
            for feature, encoder in zip(fields.query_features, fields.query, strict=True)
        ]
        for feature, encoder in zip(fields.query_features, fields.query, strict=True):
            if isinstance(encoder, TargetHistoryEncoder):
                assert isinstance(feature, History)
                parts.append(encoder.embedding(dense(batch, feature.target_name)).float())
    columns.extend(parts)
    return DenseFields(query, [part.shape[1] for part in parts], fields.scores)


def _query_feature(
    feature: Feature, encoder: nn.Module, space: FeatureSpace, contents: Contents
) -> DenseFeature:
    if not isinstance(encoder, TargetHistoryEncoder):
        return dense_feature(feature, encoder, space, contents)
    assert isinstance(feature, History)
    rows = history_table(feature, encoder.embedding.weight, space, contents)
    table = contents.add_table("history", rows.numpy())
    wanted = DeviceInput(feature.name, "history", table=table, length=feature.length)
    return DenseTargetHistory(contents.add_input(wanted), encoder.attention)
