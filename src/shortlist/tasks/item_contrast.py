"""Self-supervision of an item tower: two views of an item, each without the other's features, must agree."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.data.feature_space import Batch
from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, ShapeError
from shortlist.losses import in_batch_softmax
from shortlist.nn import Tower

BINS = 10  # of a feature of numbers, when it is compared with others


class ItemContrast(nn.Module):
    """A loss that needs no user: items are told apart by what two disjoint halves of their features agree on.

    What only popular items would learn from clicks, rare ones learn from themselves. Add it, with a weight
    such as 0.1, to the loss of a two-tower model, on items drawn uniformly from the catalogue.

    For each batch one feature is drawn; it and those most related to it are hidden from one view, the rest
    from the other. Features that tell the same would otherwise make the task trivial.

    Args:
        temperature: divides the cosines; positive.
        dropout: share of the values of a list (tags, words) that each view hides besides.
        relation: `[features, features]` how much two features tell of each other, in the tower's order, as
            `mutual_information` measures it; None hides random halves.

    Raises:
        ConfigError: the temperature is not positive or the dropout is not from 0 to below 1.

    Source: Yao et al., Self-supervised learning for large-scale item recommendations (CIKM 2021).
    """

    relation: Tensor | None

    def __init__(
        self, *, temperature: float = 0.1, dropout: float = 0.1, relation: Tensor | None = None
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ConfigError(f"temperature must be positive, got {temperature}", remedy="such as 0.1")
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout must be from 0 to below 1, got {dropout}", remedy="such as 0.1")
        self.temperature, self.dropout = temperature, dropout
        self.register_buffer("relation", relation)

    def forward(self, tower: Tower, batch: Batch, *, item_ids: Tensor | None = None) -> Tensor:
        """The mean loss of telling each item's second view among those of the batch.

        Args:
            tower: the item tower, built, with at least two features.
            batch: the features of distinct items, as `FeatureSpace.candidate_batch` gives them.
            item_ids: `[batch]` int64; given, another view of the same item is no negative.

        Returns:
            Scalar.

        Raises:
            ConfigError: the tower has a single feature.
            ShapeError: the relation is of another number of features.
        """
        names = [feature.name for feature in tower.features]
        hidden = self._half(names)
        first, second = (
            functional.normalize(tower(self._view(batch, part)), dim=1)
            for part in (hidden, set(names) - hidden)
        )
        return in_batch_softmax(
            first, second, temperature=self.temperature, candidate_ids=item_ids, reduction="mean"
        )

    def _half(self, names: Sequence[str]) -> set[str]:
        """The features that the first view lacks: one, and those most related to it."""
        count = len(names)
        if count < 2:
            raise ConfigError(
                f"an item tower with {names} has nothing to compare", remedy="give it two features or more"
            )
        if self.relation is None:
            chosen = torch.randperm(count)[: count // 2]
        else:
            if self.relation.shape != (count, count):
                raise ShapeError(
                    f"the relation is {tuple(self.relation.shape)} for {count} features",
                    remedy="measure it with mutual_information on the tower's features",
                )
            seed = int(torch.randint(count, (1,)))
            others = self.relation[seed].clone()
            others[seed] = torch.inf
            chosen = others.argsort(descending=True, stable=True)[: count // 2]
        return {names[place] for place in chosen.tolist()}

    def _view(self, batch: Batch, hidden: set[str]) -> Batch:
        return {
            name: _without(value) if name in hidden else self._thinned(value) for name, value in batch.items()
        }

    def _thinned(self, value: Tensor | Ragged) -> Tensor | Ragged:
        if not isinstance(value, Ragged) or not self.dropout:
            return value
        lost = torch.rand(len(value.values), device=value.device) < self.dropout
        return Ragged(value.values.masked_fill(lost, 0), value.offsets)


def _without(value: Tensor | Ragged) -> Tensor | Ragged:
    """The entry of items of which nothing is known: the unknown's index, an empty list, the mean number."""
    if isinstance(value, Ragged):
        return Ragged(value.values[:0], torch.zeros_like(value.offsets))
    return torch.zeros_like(value)


def mutual_information(columns: Batch, names: Sequence[str]) -> Tensor:
    """How much each two features of some items tell of each other.

    A list counts as one value, its set of members; a feature of numbers is cut into tenths by its mean.

    Args:
        columns: the features of all items, such as `FeatureSpace.item_columns`.
        names: which features, in the order of the tower.

    Returns:
        `[len(names), len(names)]` float32, in nats; an item's own id tells all, so its row is each feature's
        entropy.
    """
    codes = [_codes(columns[name]) for name in names]
    table = torch.zeros(len(names), len(names))
    for i, one in enumerate(codes):
        for j, other in enumerate(codes[: i + 1]):
            joint = _numbered(one * (int(other.max()) + 1) + other)
            table[i, j] = table[j, i] = _entropy(one) + _entropy(other) - _entropy(joint)
    return table


def _codes(value: Tensor | Ragged) -> Tensor:
    """`[items]` int64: one number for each distinct value of a column."""
    if isinstance(value, Ragged):
        generator = torch.Generator().manual_seed(0)
        width = int(value.values.max()) + 1 if len(value.values) else 1
        names = torch.randint(1 << 62, (width,), generator=generator)
        member = torch.unique(torch.stack([value.row_ids(), value.values]), dim=1)
        sums = torch.zeros(len(value), dtype=torch.int64).index_add_(0, member[0], names[member[1]])
        return _numbered(sums)
    if not value.is_floating_point():
        return _numbered(value)
    means = value.double().flatten(start_dim=1).mean(dim=1)
    bounds = torch.quantile(means, torch.linspace(0, 1, BINS + 1, dtype=torch.float64)[1:-1])
    return _numbered(torch.searchsorted(bounds, means))


def _numbered(values: Tensor) -> Tensor:
    places: Tensor = torch.unique(values, return_inverse=True)[1]
    return places


def _entropy(codes: Tensor) -> float:
    share = torch.bincount(codes).double()
    share = share[share > 0] / len(codes)
    return float(-(share * share.log()).sum())
