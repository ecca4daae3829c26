"""Features in, one embedding a row out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from shortlist.data.feature_space import Batch, FeatureSpace
from shortlist.data.features import Feature, History, feature_from_dict
from shortlist.errors import ConfigError, NotFittedError
from shortlist.kernels.lengths import normalise
from shortlist.nn.encoded import encode_together
from shortlist.nn.encoders import build_encoder
from shortlist.nn.mlp import MLP


class Tower(nn.Module):
    """One embedding for each user or each item, from any features.

    Without hidden layers the embedding is the sum of the features' embeddings: few parameters, and what a
    rare id lacks its other features supply. With hidden layers the features are concatenated and go
    through an MLP.

    The layers are made when the data is known: `fit` of a model does it, or `build`.

    Args:
        features: what the tower reads.
        dim: width of the embedding.
        hidden: widths of the hidden layers.
        dropout: share that training hides, from 0 to below 1: of each hidden layer, or, without hidden
            layers, of the sum.
        normalise: whether embeddings are brought to length 1, so that a dot product is a cosine: popularity
            then has to be learned from the features, and training is steadier.
        sparse: whether the gradients of the tables name the rows of the batch and hold no others: for ids by
            the million, with an optimizer that steps such rows (`Adagrad`, `RowwiseAdagrad`, `LazyAdam`).
        table_dtype: of the tables, float32 by default; `torch.bfloat16` halves their memory and needs
            `sparse`, see `Embedding`.

    Raises:
        ConfigError: there is no feature, or a number is out of range.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        *,
        dim: int = 128,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        normalise: bool = True,
        sparse: bool = False,
        table_dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if not features:
            raise ConfigError("a tower needs at least one feature", remedy='such as sl.Id("user_id")')
        for feature in features:
            if isinstance(feature, History) and feature.pooling == "target":
                raise ConfigError(
                    "a tower embeds the user before any candidate is known",
                    where=f"History({feature.column!r}, pooling='target')",
                    remedy="use pooling='attention' here, and 'target' in a Ranker",
                )
        if dim < 1:
            raise ConfigError(f"dim must be at least 1, got {dim}", where="Tower", remedy="such as 64")
        if not 0 <= dropout < 1:
            raise ConfigError(
                f"dropout must be from 0 to below 1, got {dropout}", where="Tower", remedy="such as 0.1"
            )
        if table_dtype not in (None, torch.float32, torch.bfloat16) or (
            table_dtype == torch.bfloat16 and not sparse
        ):
            raise ConfigError(
                f"table_dtype is {table_dtype} and sparse is {sparse}",
                where="Tower",
                remedy="pass torch.bfloat16 together with sparse=True, or leave table_dtype out",
            )
        self.features = tuple(features)
        self.dim, self.hidden, self.dropout, self.normalise = dim, tuple(hidden), dropout, normalise
        self.sparse, self.table_dtype = sparse, table_dtype
        self.encoders = nn.ModuleDict()
        self.deep: MLP | None = None

    @property
    def is_built(self) -> bool:
        """Whether the layers exist."""
        return len(self.encoders) > 0

    def config(self) -> dict[str, Any]:
        """The arguments that make an equal tower, in a form that JSON can hold."""
        return {
            "features": [feature.to_dict() for feature in self.features],
            "dim": self.dim,
            "hidden": list(self.hidden),
            "dropout": self.dropout,
            "normalise": self.normalise,
            "sparse": self.sparse,
            "table_dtype": None if self.table_dtype is None else str(self.table_dtype).removeprefix("torch."),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Tower:
        """The reverse of `config`."""
        rest = dict(config)
        features = [feature_from_dict(each) for each in rest.pop("features")]
        name = rest.pop("table_dtype", None)
        return cls(features, table_dtype=name and getattr(torch, name, name), **rest)

    def build(self, space: FeatureSpace) -> Tower:
        """Make the layers for what the features learned from the data.

        Args:
            space: knows the features' encodings.

        Returns:
            The tower itself.

        Raises:
            ConfigError: without hidden layers, a feature has another width than the tower.
        """
        deep = bool(self.hidden)
        encoders = [
            build_encoder(
                feature,
                space.encodings[feature.name],
                self.dim,
                project=not deep,
                sparse=self.sparse,
                table_dtype=self.table_dtype,
            )
            for feature in self.features
        ]
        widths = [cast(int, encoder.dim) for encoder in encoders]
        if not deep and any(width != self.dim for width in widths):
            raise ConfigError(
                f"features of widths {widths} cannot be added up to an embedding of width {self.dim}",
                where="Tower",
                remedy="leave the features' dim out, or give the tower hidden layers",
            )
        self.encoders = nn.ModuleDict({str(number): encoder for number, encoder in enumerate(encoders)})
        if deep:
            self.deep = MLP(sum(widths), (*self.hidden, self.dim), dropout=self.dropout)
        return self

    def forward(self, batch: Batch) -> Tensor:
        """Embed a batch.

        Args:
            batch: an entry for each feature, by the feature's name.

        Returns:
            `[batch, dim]`.

        Raises:
            NotFittedError: the tower was not built.
        """
        if not self.is_built:
            raise NotFittedError("the tower has no layers yet", remedy="fit the model, or call build(space)")
        encoded: list[Tensor] = [
            self.encoders[str(i)](batch[each.name]) for i, each in enumerate(self.features)
        ]
        if self.deep is not None:
            embedding: Tensor = self.deep(torch.cat(encoded, dim=1))
        else:
            embedding = nn.functional.dropout(torch.stack(encoded).sum(0), self.dropout, self.training)
        return nn.functional.normalize(embedding, dim=1) if self.normalise else embedding

    @torch.inference_mode()
    def embed(self, batch: Batch) -> Tensor:
        """As `forward`, but without gradients and in fewer steps: for requests that wait.

        Args:
            batch: an entry for each feature, by the feature's name.

        Returns:
            `[batch, dim]`.

        Raises:
            NotFittedError: the tower was not built.
        """
        entries = [batch[each.name] for each in self.features]
        on_cpu = all(each.device.type == "cpu" for each in entries)
        if self.training or not on_cpu or type(self).forward is not Tower.forward or not self.is_built:
            return self(batch)  # type: ignore[no-any-return]
        embedding = encode_together(list(self.encoders.values()), entries, side_by_side=self.deep is not None)
        if self.deep is not None:
            embedding = self.deep(embedding)
        if not self.normalise:
            return embedding
        normalised = torch.empty_like(embedding)
        normalise(embedding.contiguous().numpy(), normalised.numpy())
        return normalised
