"""The base of every model that learns by gradients: one method to write, `compute_loss`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shortlist.data.dataset import Dataset
from shortlist.data.feature_space import Batch, FeatureSpace
from shortlist.data.features import Feature
from shortlist.data.loader import BatchLoader
from shortlist.data.rebinding import check_same_ids
from shortlist.data.sides import is_query_feature
from shortlist.errors import NotFittedError
from shortlist.nn.tower import Tower
from shortlist.training import Callback, TrainingHistory
from shortlist.training import fit as train
from shortlist.training.batches import Loader, to_device

VALIDATION_BATCH = 4096  # events whose loss is computed together


class TrainingOptions(TypedDict, total=False):
    """What `Model.fit` passes on to `shortlist.training.fit`, where each is described."""

    optimizer: Optimizer | Any
    embedding_decay: float
    schedule: Literal["cosine", "linear", "plateau"] | None
    warmup_steps: int
    max_grad_norm: float | None
    precision: Literal["float32", "bfloat16", "float16"]
    device: torch.device | str | None
    monitor: str | None
    mode: Literal["min", "max"] | None
    patience: int | None
    restore_best: bool
    checkpoint_dir: str | None
    checkpoint_every: int | None
    resume: bool
    callbacks: Sequence[Callback]
    progress: bool


class Model(nn.Module):
    """A model over features, trained on a Dataset.

    Make the towers and the task in `__init__` and return the loss of a batch from `compute_loss`:

        class MyModel(sl.Model):
            def __init__(self):
                super().__init__()
                self.query = sl.Tower([sl.Id("user_id")])
                self.candidate = sl.Tower([sl.Id("item_id")])
                self.task = sl.tasks.Retrieval(correct_sampling_bias=False)

            def compute_loss(self, batch):
                return self.task(self.query(batch), self.candidate(batch), candidate_ids=batch["item_index"])
    """

    space: FeatureSpace | None = None

    def compute_loss(self, batch: Batch) -> Tensor:
        """The loss of one batch.

        Args:
            batch: the features of the towers by name, `user_index`, `item_index` and `weight`, and `label`
                where the data has labels.

        Returns:
            A scalar.
        """
        raise NotImplementedError(f"{type(self).__name__} must define compute_loss(batch)")

    def build(self, data: Dataset, *, seed: int = 0) -> FeatureSpace:
        """Learn the features' encodings from a train part and make the towers' layers.

        A model is built once; `fit` does it. What is built keeps its weights when it is trained further, on
        data with the same vocabularies.

        Args:
            data: the train part.
            seed: of the initial weights.

        Returns:
            The feature space, also kept as `self.space`.

        Raises:
            ConfigError: the model was built for data in which users or items have other indices.
        """
        if self.space is None:
            query, candidate = self.features(data)
            self.space = FeatureSpace.fit(data, query, candidate)
            self.build_layers(seed=seed)
        check_same_ids(
            self.space, data, what=f"this {type(self).__name__}", remedy="make a new model and fit that"
        )
        return self.space

    def build_layers(self, *, seed: int = 0) -> None:
        """Make the layers that depend on the data, for the feature space that is set.

        Args:
            seed: of the initial weights; torch's own generator is left as it was.
        """
        space = self.fitted_space()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for module in self.modules():
                if isinstance(module, Tower) and not module.is_built:
                    module.build(space)

    def features(self, data: Dataset) -> tuple[list[Feature], list[Feature]]:
        """Which features the model's towers read, of the query and of the candidate.

        A tower with a feature that no request can have, such as `Id("item_id")`, is a candidate tower.

        Args:
            data: the train part.
        """
        query: list[Feature] = []
        candidate: list[Feature] = []
        for module in self.modules():
            if isinstance(module, Tower):
                asks = all(is_query_feature(data, feature) for feature in module.features)
                side = query if asks else candidate
                side.extend(feature for feature in module.features if feature not in side)
        return query, candidate

    def fit(
        self,
        data: Dataset,
        *,
        epochs: int = 10,
        batch_size: int = 1024,
        learning_rate: float | None = 3e-3,
        validation: Dataset | None = None,
        loader: Loader | None = None,
        seed: int = 0,
        **options: Unpack[TrainingOptions],
    ) -> TrainingHistory:
        """Train on the events of a dataset.

        Args:
            data: the train part.
            epochs: how often to go through it.
            batch_size: events a step.
            learning_rate: of the optimizer to be made (Adam by default); None for one that is given.
            validation: a test part to evaluate on after each epoch; `monitor` and `patience` then stop early.
            loader: batches to go through instead of the events of `data`, such as a
                `shortlist.datasets.ParquetLoader`; it has a batch size and a seed of its own.
            seed: of the initial weights, the order of the events and dropout.
            **options: see `shortlist.training.fit`.

        Returns:
            Loss, validation metrics and seconds of each epoch.
        """
        self.build(data, seed=seed)
        if loader is None:
            loader = self.make_loader(data, batch_size=batch_size, seed=seed)
        validate = None if validation is None else lambda: self.validate(validation)
        return train(
            self, loader, epochs=epochs, learning_rate=learning_rate, validate=validate, seed=seed, **options
        )

    def make_loader(self, data: Dataset, *, batch_size: int, seed: int) -> BatchLoader:
        """The batches that `fit` goes through: the positive events.

        Args:
            data: the train part.
            batch_size: events a batch.
            seed: of the order.
        """
        return BatchLoader(data, self.fitted_space(), batch_size=batch_size, seed=seed)

    @torch.no_grad()
    def validate(self, data: Dataset) -> Mapping[str, float]:
        """The metrics of a validation part; by default the mean loss over the events that `fit` would take.

        Args:
            data: the validation part.
        """
        remedy = "validate on the test part of the split whose train part it is fitted on"
        check_same_ids(self.fitted_space(), data, what=f"this {type(self).__name__}", remedy=remedy)
        device = next(self.parameters()).device
        losses, sizes = [], []
        for batch in self.make_loader(data, batch_size=VALIDATION_BATCH, seed=0).epoch(0):
            losses.append(float(self.compute_loss(to_device(batch, device))))
            sizes.append(len(batch["item_index"]))
        total = sum(loss * size for loss, size in zip(losses, sizes, strict=True))
        return {"validation_loss": total / sum(sizes)}

    def fitted_space(self) -> FeatureSpace:
        """The feature space.

        Raises:
            NotFittedError: the model was not built.
        """
        if self.space is None:
            raise NotFittedError(f"{type(self).__name__} is not trained", remedy="call fit(data) first")
        return self.space
