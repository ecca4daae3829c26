"""A ranker's scores for requests that wait: the items are encoded once, and one native call does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from shortlist.data.candidates import Candidates
from shortlist.data.feature_space import Batch, FeatureSpace
from shortlist.data.features import Feature, History
from shortlist.data.growth import replace_rows
from shortlist.data.requests import Requests
from shortlist.kernels.networks import Network, Step, network_scores
from shortlist.models.ranking.list_loader import relative_columns
from shortlist.models.ranking.plain_layers import PlainLayers, plain_layers
from shortlist.nn.fields import SCORE_WIDTH, Fields
from shortlist.nn.target_attention import TargetHistoryEncoder

if TYPE_CHECKING:
    from shortlist.models.ranking.ranker import Ranker

TABLE_BYTES = 1 << 28  # of the encoded items; a larger catalogue's candidates are encoded for each request
ENCODING_BATCH = 8192  # items encoded together

Encoders = Sequence[tuple[Feature, nn.Module]]


@dataclass(frozen=True, eq=False)
class Scorer:
    """One state of a ranker, ready to be asked.

    The rows of its network are in another order than the ranker's: what all candidates of a request share,
    what belongs to the item, and what depends on both. The weights are in that order too.

    Args:
        space: of the ranker.
        query: features and encoders of the request alone.
        target: histories that each candidate sees in its own light.
        candidate: features and encoders of the item alone.
        scores: names of the score features.
        network: the crosses and the layers after them.
        table: `[num_items + 1, width]` float32 encoded items; None for a catalogue that is too large.
        modules: that the ranker consisted of.
        weights: of the ranker, and where and in which version they were.
    """

    space: FeatureSpace
    query: Encoders
    target: Encoders
    candidate: Encoders
    scores: Sequence[str]
    network: Network
    table: Tensor | None
    modules: Sequence[nn.Module | None]
    weights: Sequence[tuple[Tensor, int, int]]

    @classmethod
    @torch.inference_mode()
    def of(cls, ranker: Ranker) -> Scorer | None:
        """Make a ranker ready, or None where a layer or a device is not one that the kernels know."""
        fields, layers = ranker.fields, plain_layers(getattr(ranker, "network", None))
        if fields is None or layers is None or ranker.objectives is not None:
            return None
        weights = [*ranker.parameters(), *ranker.buffers()]
        if not all(each.device.type == "cpu" and each.dtype == torch.float32 for each in weights):
            return None
        space = ranker.fitted_space()
        in_table = _table_fits(space, list(fields.candidate))
        order = _order(fields, num_scores=len(ranker.scores), in_table=in_table)
        steps = _steps(layers, order, start=ranker.centre if ranker.loss == "rating" else None)
        asked = list(zip(ranker.query_features, fields.query, strict=True))
        scorer = cls(
            space=space,
            query=[pair for pair in asked if not isinstance(pair[1], TargetHistoryEncoder)],
            target=[pair for pair in asked if isinstance(pair[1], TargetHistoryEncoder)],
            candidate=list(zip(ranker.candidate_features, fields.candidate, strict=True)),
            scores=ranker.scores,
            network=Network.of(len(order), steps),
            table=None,
            modules=_parts(ranker),
            weights=[(each, each.data_ptr(), _version(each)) for each in weights],
        )
        return scorer._with_table() if in_table else scorer

    def stands_for(self, ranker: Ranker) -> bool:
        """Whether a ranker is still as it was."""
        modules = _parts(ranker)
        return (
            ranker.space is self.space
            and len(modules) == len(self.modules)
            and all(now is then for now, then in zip(modules, self.modules, strict=True))
            and all(
                each.data_ptr() == place and _version(each) == version
                for each, place, version in self.weights
            )
        )

    def score(self, requests: Requests, candidates: Candidates) -> Tensor:
        """See `Ranker.score_candidates`.

        Args:
            requests: who asks.
            candidates: one row a request.

        Returns:
            `[total]` float32.
        """
        batch, items = self.space.query_batch(requests), candidates.items.values
        asked = [encoder(batch[feature.name]) for feature, encoder in self.query]
        own = self._seen_by_candidates(batch, candidates) if self.target else []
        if self.table is None:
            own.append(self._encode(items))
        own.append(relative_columns(candidates, self.scores))
        return network_scores(
            self.network,
            candidates.items.offsets,
            query=torch.cat(asked, dim=1) if asked else torch.empty(len(requests), 0),
            table=torch.empty(1, 0) if self.table is None else self.table,
            items=items,
            own=torch.cat(own, dim=1) if len(own) > 1 else own[0],
        )

    @torch.inference_mode()
    def with_items(self, space: FeatureSpace, rows: Tensor) -> Scorer:
        """The scorer for more items; see `Ranker.with_items`.

        Args:
            space: that knows them.
            rows: `[n]` int64 indices of the items that are new or described anew.
        """
        grown = replace(self, space=space)
        if self.table is None:
            return grown
        table = replace_rows(self.table, rows, grown._encode(rows))
        assert isinstance(table, Tensor)
        return replace(grown, table=table)

    def _seen_by_candidates(self, batch: Batch, candidates: Candidates) -> list[Tensor]:
        rows, seen = candidates.row_ids(), []
        for feature, encoder in self.target:
            assert isinstance(feature, History)
            items = self.space.item_columns[feature.name]
            assert isinstance(items, Tensor)
            seen.append(encoder(batch[feature.name], items[candidates.items.values], rows))
        return seen

    def _encode(self, items: Tensor) -> Tensor:
        """`[n, width]` the encoded features of some items."""
        batch = self.space.candidate_batch(items)
        parts = [encoder(batch[feature.name]) for feature, encoder in self.candidate]
        return torch.cat([torch.empty(len(items), 0), *parts], dim=1)

    def _with_table(self) -> Scorer:
        blocks = torch.split(torch.arange(self.space.num_items), ENCODING_BATCH)
        return replace(self, table=torch.cat([self._encode(items) for items in blocks]))


def _table_fits(space: FeatureSpace, encoders: Sequence[nn.Module]) -> bool:
    return 4 * space.num_items * _width(encoders) <= TABLE_BYTES


def _width(encoders: Sequence[nn.Module]) -> int:
    return sum(cast(int, encoder.dim) for encoder in encoders)


def _parts(ranker: Ranker) -> list[nn.Module | None]:
    """The modules that a ranker consists of, and those of its network."""
    own = list(ranker._modules.values())
    return own + [part for each in own if each is not None for part in each._modules.values()]


def _order(fields: Fields, *, num_scores: int, in_table: bool) -> Tensor:
    """Where each number of the scorer's rows stands in the ranker's."""
    encoders = [*fields.query, *fields.candidate]
    widths = [_width([each]) for each in encoders] + [SCORE_WIDTH] * num_scores
    places = torch.split(torch.arange(sum(widths)), widths)
    asked = len(fields.query)
    sees = [isinstance(each, TargetHistoryEncoder) for each in fields.query]
    query = [part for part, seen in zip(places, sees, strict=False) if not seen]
    target = [part for part, seen in zip(places, sees, strict=False) if seen]
    item, scores = places[asked : len(encoders)], places[len(encoders) :]
    middle = [*item, *target] if in_table else [*target, *item]
    return torch.cat([*query, *middle, *scores])


def _steps(layers: PlainLayers, order: Tensor, *, start: Tensor | None) -> list[Step]:
    """The layers for rows in another order."""
    steps = []
    for cross in layers.crosses:
        kernel = cross.kernel.weight if cross.down is None else cross.kernel.weight @ cross.down.weight
        kernel = kernel + cross.diag_scale * torch.eye(len(order))
        bias = None if cross.bias is None else cross.bias[order]
        steps.append(Step("cross", kernel[order][:, order], bias))
    for number, linear in enumerate(layers.linears):
        weight = linear.weight if number else linear.weight[:, order]
        last = number == len(layers.linears) - 1
        bias = linear.bias + start if last and start is not None else linear.bias
        steps.append(Step("output" if last else "hidden", weight, bias))
    return steps


def _version(weight: Tensor) -> int:
    return 0 if weight.is_inference() else weight._version
