"""What the library offers: the public packages and the names in them."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import shortlist
from shortlist import errors

INTERNAL = {"cli"}  # a program, not an interface


def public_packages() -> dict[str, ModuleType]:
    """The packages under `shortlist` that have an interface, by their short names."""
    found = {each.name for each in pkgutil.iter_modules(shortlist.__path__) if not each.name.startswith("_")}
    return {name: importlib.import_module(f"shortlist.{name}") for name in sorted(found - INTERNAL)}


def names_of(package: ModuleType) -> list[str]:
    """The public names of a package: its `__all__`, or what the module of errors defines."""
    if package is errors:
        return [
            name
            for name, value in vars(errors).items()
            if getattr(value, "__module__", "") == errors.__name__
        ]
    return list(package.__all__)


def public_names() -> list[tuple[str, str]]:
    """Every pair of package and name."""
    return [(package, name) for package, module in public_packages().items() for name in names_of(module)]
