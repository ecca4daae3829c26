"""A trained funnel for where the person is: no server, no network; needs `pip install 'shortlist[export]'`.

The names are imported when they are first used, so that a device that only answers needs no PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shortlist.export.manifest import DeviceManifest
    from shortlist.export.report import ExportReport
    from shortlist.export.verify import StageCheck
    from shortlist.export.write import export_bundle, export_funnel

_PLACES = {
    "DeviceManifest": "shortlist.export.manifest",
    "ExportReport": "shortlist.export.report",
    "StageCheck": "shortlist.export.verify",
    "export_bundle": "shortlist.export.write",
    "export_funnel": "shortlist.export.write",
}

__all__ = ["DeviceManifest", "ExportReport", "StageCheck", "export_bundle", "export_funnel"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
