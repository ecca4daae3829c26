"""Several optimizers side by side: embeddings with one, dense layers with another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

from torch import Tensor
from torch.optim import Optimizer

from shortlist.errors import ConfigError
from shortlist.training.weightwise import reevaluate, restore_dtypes


class CompositeOptimizer(Optimizer):
    """Several optimizers as one, each with its own parameters: embeddings here, dense layers there.

    Its groups and state are theirs, so learning-rate schedules, gradient scaling and checkpoints work on it
    as on any optimizer.

    Args:
        optimizers: each built over its own parameters.
        cover: all parameters that should be trained, such as `model.parameters()`; None checks nothing.

    Raises:
        ConfigError: there are no optimizers, a parameter belongs to two of them, or one that should be
            trained belongs to none.
    """

    def __init__(self, optimizers: Sequence[Optimizer], *, cover: Iterable[Tensor] | None = None) -> None:
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        owned = [parameter for group in groups for parameter in group["params"]]
        if not owned:
            raise ConfigError(
                "there are no optimizers or no parameters", remedy="pass at least one optimizer"
            )
        if len(set(owned)) < len(owned):
            raise ConfigError("a parameter belongs to two optimizers", remedy="give each parameter to one")
        left = [] if cover is None else [p for p in cover if p.requires_grad and p not in set(owned)]
        if left:
            raise ConfigError(
                f"{len(left)} parameters belong to no optimizer, the first of shape {tuple(left[0].shape)}",
                remedy="give every parameter to one optimizer, or freeze it with requires_grad_(False)",
            )
        self.optimizers = list(optimizers)
        super().__init__(owned, {})
        self.param_groups = groups
        for optimizer in self.optimizers:
            self.state.update(optimizer.state)
        self._share()

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step with each optimizer.

        Args:
            closure: recomputes the loss and its gradients first, once; usually None.

        Returns:
            The closure's loss, or None.
        """
        loss = reevaluate(closure)
        for optimizer in self.optimizers:
            optimizer.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned, into optimizers of the same kinds over the same parameters.

        Args:
            state_dict: groups and state of all optimizers.
        """
        super().load_state_dict(state_dict)
        restore_dtypes(self, state_dict)
        self._share()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refused after construction: add the group to one of the optimizers and build a new composite.

        Args:
            param_group: the group.

        Raises:
            ConfigError: always, once built.
        """
        if "optimizers" in self.__dict__ and self.param_groups:
            raise ConfigError(
                "a CompositeOptimizer does not know which optimizer a new group is for",
                remedy="add the group to one of its optimizers and build a new CompositeOptimizer",
            )
        super().add_param_group(param_group)

    def _share(self) -> None:
        # The parts look at this one's groups and state, so there is one truth to schedule and to save.
        start = 0
        for optimizer in self.optimizers:
            end = start + len(optimizer.param_groups)
            optimizer.param_groups = self.param_groups[start:end]
            optimizer.state = self.state
            start = end
