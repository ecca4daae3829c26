"""The gradient of a table whose rows were added up in bags, before it is written out row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

_aten = torch.ops.aten


@dataclass(frozen=True)
class Bags:
    """Which ids belong together.

    Args:
        offsets: `[bags + 1]` int64 where each bag starts, contiguous.
        factors: `[total]` float32 of the ids; None for ones.
    """

    offsets: Tensor
    factors: Tensor | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of_each(self) -> Tensor:
        """`[total]` the bag of each id."""
        lengths = self.offsets.diff()
        return torch.arange(len(self), device=lengths.device).repeat_interleave(lengths)

    def factors_of(self, ids: Tensor) -> Tensor:
        """`[total]` the factor of each id, 0 where the id is 0."""
        known = (ids != 0).float()
        return known if self.factors is None else known * self.factors


class BagGradient(Tensor):
    """A sparse gradient, `[rows, dim]`, in the form of the bags' gradients: a few numbers an id and no row.

    The optimizers for tables step from this form. To all else it is the sparse tensor that it stands for,
    which it becomes at the first operation.

    Args:
        shape: of the table.
        ids: `[total]` int64 row numbers; those that are 0 do not count.
        bags: of the ids.
        gradients: `[bags, dim]` of the bags.
    """

    ids: Tensor
    bags: Bags
    gradients: Tensor
    is_sparse = True
    _written: Tensor | None

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls: type, shape: torch.Size, ids: Tensor, bags: Bags, gradients: Tensor) -> BagGradient:
        """A tensor without memory of its own."""
        made: BagGradient = Tensor._make_wrapper_subclass(
            cls, shape, dtype=gradients.dtype, device=gradients.device
        )
        made.ids, made.bags, made.gradients, made._written = ids, bags, gradients, None
        return made

    @property
    def is_written(self) -> bool:
        """Whether it became a sparse tensor, and the other attributes no longer hold."""
        return self._written is not None

    def written(self) -> Tensor:
        """The sparse tensor, not coalesced."""
        if self._written is None:
            known = self.ids != 0
            values = self.gradients[self.bags.of_each()[known]]
            if self.bags.factors is not None:
                values = values * self.bags.factors[known, None]
            self._written = torch.sparse_coo_tensor(
                self.ids[known][None], values, self.shape, check_invariants=False
            )
        return self._written

    # What callers ask of a sparse tensor by name, which never gets to the dispatcher.
    def coalesce(self) -> Tensor:
        """The sparse tensor, coalesced."""
        return self.written().coalesce()

    def to_dense(self, *args: Any, **kwargs: Any) -> Tensor:
        """The dense tensor."""
        return self.written().to_dense(*args, **kwargs)

    def _indices(self) -> Tensor:
        return self.written()._indices()

    def _values(self) -> Tensor:
        return self.written()._values()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Hand on the operations of autograd's own bookkeeping; all others are done on the sparse tensor."""
        first = args[0]
        if func in (_aten.detach.default, _aten.alias.default) and not first.is_written:
            return BagGradient(first.shape, first.ids, first.bags, first.gradients)
        plain, options = tree_map_only(BagGradient, BagGradient.written, (args, kwargs or {}))
        result = func(*plain, **options)
        in_place = isinstance(first, BagGradient) and result is plain[0]
        return first if in_place else result
