"""A device that is none: its tensors refuse to meet the CPU's, as a GPU's do, and are computed on the CPU.

Code that adds a GPU's tensor to one of the CPU, or reads it as NumPy, is only found out on a GPU. Here it
fails in the same way. Tensors of the device wrap one of the CPU and forward every operation to it; PyTorch
knows the device under the key that it keeps for devices of others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "elsewhere"
aten = torch.ops.aten
COPIES = (aten.copy_.default, aten._to_copy.default)
# Whose indices may lie on the CPU: a GPU fetches them.
INDEXING = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default)


class Elsewhere(torch.Tensor):
    """A tensor of the device.

    Args:
        held: the CPU's tensor that has the numbers.
    """

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Elsewhere:
        # A sparse tensor has no strides.
        strided = held.layout == torch.strided
        with torch.inference_mode(False):  # a view of a tensor that counts its changes must count them too
            made = torch.Tensor._make_wrapper_subclass(
                cls,
                held.size(),
                strides=held.stride() if strided else None,
                storage_offset=held.storage_offset() if strided else None,
                dtype=held.dtype,
                layout=held.layout,
                device=torch.device(NAME, 0),
            )
        made.held = held
        return made

    def __repr__(self) -> str:
        return f"Elsewhere({self.held})"

    def tolist(self) -> Any:
        """PyTorch has none for subclasses; a GPU's tensors have one."""
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = (args, kwargs or {})
        leaves = pytree.tree_leaves(given)
        if operation not in COPIES:
            _refuse_strangers(operation, args[:1] + args[2:] if operation in INDEXING else leaves)
        goes_home = any(isinstance(each, torch.device) and each.type == "cpu" for each in leaves)
        found = operation(*_at_home(given)[0], **_at_home(given)[1])
        if "out" in given[1]:
            return given[1]["out"]
        if goes_home or not operation._schema.returns:
            return found
        written = operation._schema.returns[0].alias_info
        if written is not None and written.is_write:
            return args[0]
        return pytree.tree_map_only(torch.Tensor, cls, found)


def _at_home(given: Any) -> Any:
    held = pytree.tree_map_only(Elsewhere, lambda each: each.held, given)
    return pytree.tree_map_only(torch.device, lambda _: torch.device("cpu"), held)


def _refuse_strangers(operation: Any, given: Any) -> None:
    for each in pytree.tree_leaves(given):
        if isinstance(each, torch.Tensor) and not isinstance(each, Elsewhere) and each.ndim > 0:
            raise RuntimeError(f"Expected all tensors on one device, but {operation} got {NAME} and cpu")


class _Module:
    """What PyTorch asks of a device."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        """Its numbers are drawn by the CPU's generator."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


@cache
def device() -> torch.device:
    """Make the device known to PyTorch, for the rest of the process."""
    _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    library = torch.library.Library("aten", "IMPL")
    for name, operation in _factories():
        library.impl(name, _made_by(operation), "PrivateUse1")
    library.impl("_copy_from", _copy_from, "PrivateUse1")
    _known.append(library)
    return torch.device(NAME, 0)


_known: list[torch.library.Library] = []  # what a library has registered goes with it


def _copy_from(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    _at_home(target).copy_(_at_home(source))
    return target


def _factories() -> Iterator[tuple[str, Any]]:
    """The operations that make a tensor of no other."""
    for full_name in torch._C._dispatch_get_all_op_names():
        namespace, _, name = full_name.partition("::")
        if namespace != "aten" or torch._C._dispatch_has_kernel_for_dispatch_key(
            full_name, "CompositeImplicitAutograd"
        ):
            continue
        packet, _, overload = name.partition(".")
        operation = getattr(getattr(aten, packet, None), overload or "default", None)
        if operation is None:
            continue
        takes = operation._schema.arguments
        gives = [str(each.type) for each in operation._schema.returns]
        of_others = any("Tensor" in str(each.type) for each in takes)
        if gives == ["Tensor"] and not of_others and "device" in {each.name for each in takes}:
            yield name, operation


def _made_by(operation: Any) -> Callable[..., Elsewhere]:
    return lambda *args, **kwargs: Elsewhere(operation(*args, **{**kwargs, "device": "cpu"}))
