"""A trained funnel for where the person is: no server, no network; needs `pip install 'shortlist[export]'`.

The names are imported when they are first used, so that a device that only answers needs no PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shortlist.export.device import Device, Fetched, Recommended, update
    from shortlist.export.manifest import DeviceManifest
    from shortlist.export.report import ExportReport
    from shortlist.export.verify import StageCheck
    from shortlist.export.write import export_bundle, export_funnel

_PLACES = {
    "Device": "shortlist.export.device",
    "DeviceManifest": "shortlist.export.manifest",
    "ExportReport": "shortlist.export.report",
    "Fetched": "shortlist.export.device",
    "Recommended": "shortlist.export.device",
    "StageCheck": "shortlist.export.verify",
    "export_bundle": "shortlist.export.write",
    "export_funnel": "shortlist.export.write",
    "update": "shortlist.export.device",
}

__all__ = [
    "Device",
    "DeviceManifest",
    "ExportReport",
    "Fetched",
    "Recommended",
    "StageCheck",
    "export_bundle",
    "export_funnel",
    "update",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
