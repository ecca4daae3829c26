"""What turns a person's history into a query: the dense form of the models that a device can run."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError
from shortlist.export.contents import Contents
from shortlist.export.dense_features import DenseFeature, Inputs, dense_feature
from shortlist.export.dense_sequence import DenseSequence
from shortlist.export.manifest import DeviceInput
from shortlist.models.sequential import Sequential
from shortlist.models.two_tower import TwoTower


class DenseTower(DenseFeature):
    """The query tower of a `TwoTower` over named inputs.

    Args:
        model: trained.
        features: the dense forms of the tower's features.
    """

    def __init__(self, model: TwoTower, features: list[DenseFeature]) -> None:
        super().__init__(list(dict.fromkeys(name for each in features for name in each.names)))
        self.features = nn.ModuleList(features)
        self.deep, self.normalise = model.query.deep, model.query.normalise

    def forward(self, inputs: Inputs) -> Tensor:
        """`[batch, dim]`."""
        batch = inputs[self.names[0]].shape[0]
        encoded: list[Tensor] = [each(inputs).expand(batch, -1) for each in self.features]
        if self.deep is not None:
            embedding: Tensor = self.deep(torch.cat(encoded, dim=1))
        else:
            embedding = torch.stack(encoded).sum(0)
        return nn.functional.normalize(embedding, dim=1) if self.normalise else embedding


def dense_query(model: TwoTower | Sequential, contents: Contents, *, table: str) -> DenseFeature:
    """The dense form of a model's query side; its inputs and tables are added.

    Args:
        model: trained.
        contents: of the export.
        table: of the item vectors, which a `Sequential` reads as the history too.

    Raises:
        ConfigError: a device cannot fill a feature, or the query reads nothing that a device knows.
    """
    if isinstance(model, Sequential):
        if len(model.items.weight) != len(model.item_vectors):
            raise ConfigError(
                "items came after the Sequential model was trained, and it knows nothing of them",
                where="export",
                remedy="train it again, or export the funnel as it was before",
            )
        item_id = model.fitted_space().schema.item_id
        history = DeviceInput(f"{item_id}_history", "history", table=table, length=model.length)
        name, times = contents.add_input(history), None
        if model.encoder.gaps is not None:
            wanted = DeviceInput(f"{item_id}_history_times", "history_times", length=model.length)
            times = contents.add_input(wanted)
        return DenseSequence(model, name, times)
    space, tower = model.fitted_space(), model.query
    features = [
        dense_feature(feature, encoder, space, contents)
        for feature, encoder in zip(tower.features, tower.encoders.values(), strict=True)
    ]
    dense = DenseTower(model, features)
    if not dense.names:
        raise ConfigError(
            "the query tower reads nothing but the user's id, which no device knows",
            where="export",
            remedy=f"train it with History({space.schema.item_id!r}) too",
        )
    return dense
