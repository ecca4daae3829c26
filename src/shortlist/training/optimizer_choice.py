"""The optimizer of a training: the one that is given, or one made for the model's parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shortlist.errors import ConfigError
from shortlist.training.table_optimizers import LazyAdam

MakeOptimizer: TypeAlias = Callable[..., Optimizer]


def choose_optimizer(
    optimizer: Optimizer | MakeOptimizer | None,
    model: nn.Module,
    *,
    learning_rate: float | None,
    embedding_decay: float,
) -> Optimizer:
    """The optimizer that `fit` trains with; see there.

    Args:
        optimizer: one of the model's parameters, what makes one, or None.
        model: to be trained.
        learning_rate: for one to be made.
        embedding_decay: for one to be made.

    Raises:
        ConfigError: a number is out of range, is for an optimizer that is made already, or asks for decay
            that the optimizer or the model's tables do not have.
    """
    given = {"learning_rate": learning_rate, "embedding_decay": embedding_decay or None}
    if isinstance(optimizer, Optimizer):
        for name, value in given.items():
            if value is not None:
                raise ConfigError(
                    f"{name} is {value}, but the optimizer is made already",
                    remedy="set it in the optimizer's groups instead, or pass its class",
                )
        return optimizer
    if learning_rate is not None and not 0 < learning_rate < math.inf:
        raise ConfigError(f"learning_rate is {learning_rate}", remedy="give a positive number, such as 0.001")
    if not 0 <= embedding_decay < math.inf:
        raise ConfigError(f"embedding_decay is {embedding_decay}", remedy="give 0 or more, such as 1e-5")
    # Fused: one pass over the parameters in place of a dozen, and embeddings are many parameters.
    make = optimizer or (LazyAdam if _has_sparse_tables(model) else partial(torch.optim.Adam, fused=True))
    parameters: list[Any] = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if embedding_decay:
        parameters = _in_groups(parameters, model, embedding_decay)
    made = make(parameters) if learning_rate is None else make(parameters, lr=learning_rate)
    if (
        embedding_decay and "weight_decay" not in made.defaults
    ):  # else it would pass the decay over in silence
        raise ConfigError(
            f"embedding_decay is {embedding_decay}, but {type(made).__name__} has no weight_decay",
            remedy="pass one of torch's own optimizers, such as torch.optim.Adam",
        )
    return made


def _has_sparse_tables(model: nn.Module) -> bool:
    return any(getattr(module, "sparse", False) is True for module in model.modules())


def _in_groups(parameters: list[Tensor], model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Embedding tables with weight decay, all other parameters without."""
    tables = set()
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            if module.sparse:
                raise ConfigError(
                    f"embedding_decay is {decay}, but the gradients of {name!r} leave out the rows that are "
                    "not in the batch",
                    where=type(model).__name__,
                    remedy="make the table with sparse=False, or leave embedding_decay out",
                )
            tables.add(module.weight)
    if not any(parameter in tables for parameter in parameters):
        raise ConfigError(
            f"embedding_decay is {decay}, but there is no embedding table to train",
            where=type(model).__name__,
            remedy="leave it out",
        )
    parts = [[each for each in parameters if (each in tables) is inside] for inside in (True, False)]
    return [
        {"params": part, "weight_decay": weight}
        for part, weight in zip(parts, (decay, 0.0), strict=True)
        if part
    ]
