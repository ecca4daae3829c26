"""The bundles that lie in a folder, as their manifests tell of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from shortlist.data.sealed_folder import MANIFEST
from shortlist.funnel.bundle import FORMAT
from shortlist.serving.bundles.shelf import NAME_DIGITS
from shortlist.serving.schemas.views import StoredBundle

MOST = 100  # bundles that are told of
MANIFEST_BYTES = 1 << 20  # above, it is not looked at


def stored_bundles(root: Path) -> list[StoredBundle]:
    """The bundles right below a folder, newest first; none is verified here, so that looking stays cheap.

    Args:
        root: the folder.
    """
    files = [file for file in root.glob(f"*/{MANIFEST}") if not file.parent.name.startswith(".")]
    found = [each for file in files if (each := _stored(file, root)) is not None]
    return sorted(found, key=lambda each: (-each.written, each.path))[:MOST]


def _stored(file: Path, root: Path) -> StoredBundle | None:
    """A bundle, or None for what is none, or lies elsewhere."""
    try:
        facts = file.stat()
        if facts.st_size > MANIFEST_BYTES or not file.resolve().is_relative_to(root):
            return None
        manifest: Any = json.loads(file.read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            return None
        measured = {str(name): float(value) for name, value in dict(manifest["metrics"]).items()}
        metrics = {name: value for name, value in measured.items() if math.isfinite(value)}
        seal = str(manifest["seal"])[:NAME_DIGITS]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return StoredBundle(seal, file.parent.name, int(facts.st_mtime), metrics)
