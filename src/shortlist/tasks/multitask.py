"""Several tasks at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError, did_you_mean


class MultiTask(nn.Module):
    """The sum of several tasks' losses, with weights that are given or learned.

    Learned weights take each loss by its noise: `exp(-s) * loss + s / 2`, where the task's own `s` is the log
    of its variance. At its best `s` every term's weighted loss is 1/2, so no task drowns the others.

    Args:
        tasks: modules that answer a scalar loss, by name.
        weights: of each task's loss, non-negative; tasks that are not named weigh 1. Not with `uncertainty`.
        uncertainty: whether to learn the weights. They are parameters of this module: give them to the
            optimizer.

    Raises:
        ConfigError: there are no tasks, a weight is negative or belongs to no task, or weights are both given
            and learned.

    Source: Kendall et al., Multi-task learning using uncertainty to weigh losses (CVPR 2018).
    """

    def __init__(
        self,
        tasks: Mapping[str, nn.Module],
        *,
        weights: Mapping[str, float] | None = None,
        uncertainty: bool = False,
    ) -> None:
        super().__init__()
        given = dict(weights or {})
        if not tasks:
            raise ConfigError("there are no tasks", remedy="pass at least one, by name")
        if uncertainty and given:
            raise ConfigError(
                "weights are given and uncertainty=True would learn them", remedy="drop one of the two"
            )
        for name, weight in given.items():
            if name not in tasks:
                raise ConfigError(f"there is no task {name!r} to weigh", remedy=did_you_mean(name, tasks))
            if not 0 <= weight < float("inf"):
                raise ConfigError(f"the weight of task {name!r} is {weight}", remedy="pass 0 or more")
        self.tasks = nn.ModuleDict(tasks)
        self.weights = {name: float(given.get(name, 1.0)) for name in tasks}
        self.log_variances = (
            nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in tasks}) if uncertainty else None
        )

    def forward(self, inputs: Mapping[str, Mapping[str, Any]]) -> Tensor:
        """The total loss of a batch.

        Args:
            inputs: the arguments of each task by its name, for example
                `{"rating": {"predictions": …, "labels": …}}`.

        Returns:
            Scalar.

        Raises:
            ConfigError: the names are not those of the tasks.
        """
        return self.combine(self.losses(inputs))

    def losses(self, inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, Tensor]:
        """Each task's own loss, before any weight.

        Args:
            inputs: the arguments of each task by its name.

        Returns:
            Scalars by name.

        Raises:
            ConfigError: the names are not those of the tasks.
        """
        self._check_names(inputs)
        return {name: task(**inputs[name]) for name, task in self.tasks.items()}

    def combine(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Weigh losses and add them up.

        Args:
            losses: scalars by task.

        Returns:
            Scalar.

        Raises:
            ConfigError: the names are not those of the tasks.
        """
        self._check_names(losses)
        if self.log_variances is None:
            terms = [self.weights[name] * losses[name] for name in self.weights]
        else:
            terms = [
                torch.exp(-self.log_variances[name]) * losses[name] + self.log_variances[name] / 2
                for name in self.weights
            ]
        return torch.stack(terms).sum()

    def _check_names(self, given: Mapping[str, Any]) -> None:
        for name in given:
            if name not in self.weights:
                raise ConfigError(f"there is no task {name!r}", remedy=did_you_mean(name, self.weights))
        missing = [name for name in self.weights if name not in given]
        if missing:
            raise ConfigError(
                f"nothing was passed for task {missing[0]!r}", remedy="pass every task's part of the batch"
            )
