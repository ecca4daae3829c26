"""Experts and gates: what several tasks share, and what each takes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError
from shortlist.nn.mlp import MLP


class MMoE(nn.Module):
    """Multi-gate mixture of experts: all tasks share some experts, and each weighs them by a gate of its own.

    Args:
        in_features: width of the input.
        units: widths of each expert's layers, the last being the width of what a task gets.
        tasks: how many gates.
        experts: how many experts.
        dropout: share of a hidden layer's outputs that training zeroes, in [0, 1).

    Raises:
        ConfigError: a number is not positive, or the dropout is out of range.

    Source: Ma et al., Modeling task relationships in multi-task learning with multi-gate
    mixture-of-experts (KDD 2018).
    """

    def __init__(
        self,
        in_features: int,
        units: Sequence[int],
        *,
        tasks: int,
        experts: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check_counts(tasks=tasks, experts=experts)
        self.experts = _experts(in_features, units, experts, dropout)
        self.gates = nn.ModuleList(nn.Linear(in_features, experts) for _ in range(tasks))
        self.out_features = units[-1]

    def shared_parameters(self) -> list[nn.Parameter]:
        """The parameters that all tasks move: the experts, without the gates."""
        return list(self.experts.parameters())

    def gate_weights(self, inputs: Tensor) -> Tensor:
        """How much each task takes of each expert.

        Args:
            inputs: `[batch, in_features]` float.

        Returns:
            `[batch, tasks, experts]`, of sum 1 over the experts.
        """
        return torch.stack([gate(inputs) for gate in self.gates], dim=1).softmax(dim=2)

    def forward(self, inputs: Tensor) -> Tensor:
        """What each task is given.

        Args:
            inputs: `[batch, in_features]` float.

        Returns:
            `[batch, tasks, units[-1]]`.
        """
        found = torch.stack([expert(inputs) for expert in self.experts], dim=1)
        return self.gate_weights(inputs) @ found


class PLE(nn.Module):
    """Progressive layered extraction: experts of each task's own beside shared ones, in several levels.

    A task's gate sees its own experts and the shared ones, not those of other tasks, so that tasks which
    disagree cannot spoil each other's. Between the levels the shared experts' gate sees all.

    Args:
        in_features: width of the input.
        units: widths of each expert's layers in every level, the last being the width of what a task gets.
        tasks: how many tasks.
        task_experts: how many experts each task has of its own.
        shared_experts: how many experts all tasks share.
        levels: how many times experts and gates follow each other; 1 is customised gate control (CGC).
        dropout: share of a hidden layer's outputs that training zeroes, in [0, 1).

    Raises:
        ConfigError: a number is not positive, or the dropout is out of range.

    Source: Tang et al., Progressive layered extraction (PLE): a novel multi-task learning model for
    personalized recommendations (RecSys 2020).
    """

    def __init__(
        self,
        in_features: int,
        units: Sequence[int],
        *,
        tasks: int,
        task_experts: int = 2,
        shared_experts: int = 2,
        levels: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check_counts(tasks=tasks, task_experts=task_experts, shared_experts=shared_experts, levels=levels)
        self.levels = nn.ModuleList(
            _Extraction(
                units[-1] if level else in_features,
                units,
                (task_experts,) * tasks + (shared_experts,),
                dropout,
                is_last=level == levels - 1,
            )
            for level in range(levels)
        )
        self.tasks, self.out_features = tasks, units[-1]

    def shared_parameters(self) -> list[nn.Parameter]:
        """What all tasks move: shared experts and gates, and all experts before the last level."""
        *early, last = cast(list[_Extraction], list(self.levels))
        parts = [part for level in early for part in (level.experts, level.gates[-1])]
        return [parameter for part in [*parts, last.experts[-1]] for parameter in part.parameters()]

    def gate_weights(self, inputs: Tensor) -> list[list[Tensor]]:
        """How much each task takes of its own experts and of the shared ones.

        Args:
            inputs: `[batch, in_features]` float.

        Returns:
            For each level and each task, and for the shared part of every level but the last, `[batch, n]`
            of sum 1: the own experts first, then the shared ones; for the shared part, those of all tasks and
            its own.
        """
        states, found = [inputs] * (self.tasks + 1), []
        for level in cast(list[_Extraction], list(self.levels)):
            found.append(level.gate_weights(states))
            states = level(states)
        return found

    def forward(self, inputs: Tensor) -> Tensor:
        """What each task is given.

        Args:
            inputs: `[batch, in_features]` float.

        Returns:
            `[batch, tasks, units[-1]]`.
        """
        states = [inputs] * (self.tasks + 1)
        for level in self.levels:
            states = level(states)
        return torch.stack(states, dim=1)


class _Extraction(nn.Module):
    """One level of PLE: for each task and, but in the last level, for the shared part, experts and a gate."""

    def __init__(
        self, in_features: int, units: Sequence[int], counts: Sequence[int], dropout: float, *, is_last: bool
    ) -> None:
        super().__init__()
        self.experts = nn.ModuleList(_experts(in_features, units, count, dropout) for count in counts)
        seen = [count + counts[-1] for count in counts[:-1]] + ([] if is_last else [sum(counts)])
        self.gates = nn.ModuleList(nn.Linear(in_features, number) for number in seen)

    def gate_weights(self, states: Sequence[Tensor]) -> list[Tensor]:
        """Of each gate, from the state of its own part."""
        return [gate(state).softmax(dim=1) for gate, state in zip(self.gates, states, strict=False)]

    def forward(self, states: Sequence[Tensor]) -> list[Tensor]:
        """The next state of each task, and of the shared part where there is a gate for it."""
        found = [
            torch.stack([expert(state) for expert in cast(nn.ModuleList, own)], dim=1)
            for own, state in zip(self.experts, states, strict=True)
        ]
        tasks = len(found) - 1
        seen = [torch.cat([own, found[-1]], dim=1) for own in found[:-1]]
        if len(self.gates) > tasks:
            seen.append(torch.cat(found, dim=1))
        weights = self.gate_weights(states)
        return [(weight[:, None] @ part).squeeze(1) for weight, part in zip(weights, seen, strict=True)]


def _experts(in_features: int, units: Sequence[int], count: int, dropout: float) -> nn.ModuleList:
    return nn.ModuleList(
        MLP(in_features, units, dropout=dropout, final_activation="relu") for _ in range(count)
    )


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise ConfigError(f"{name} must be a whole number from 1, got {count!r}", remedy="such as 2")
