"""A fitted calibrator as one file: safetensors, with the class's name in its header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from shortlist.calibration.calibrator import Calibrator
from shortlist.calibration.isotonic import Isotonic
from shortlist.calibration.logistic import Platt, Temperature
from shortlist.calibration.spline import Spline
from shortlist.errors import BundleError, ConfigError, NotFittedError

FORMAT = "shortlist.calibration.1"
KINDS: dict[str, type[Calibrator]] = {cls.__name__: cls for cls in (Temperature, Platt, Isotonic, Spline)}


def save_calibrator(calibrator: Calibrator, path: str | Path) -> None:
    """Write a fitted calibrator into one file.

    Args:
        calibrator: one of shortlist's.
        path: of the file.

    Raises:
        ConfigError: the class is not one of shortlist's.
        NotFittedError: it was not fitted.
    """
    kind = type(calibrator).__name__
    if KINDS.get(kind) is not type(calibrator):
        raise ConfigError(
            f"a calibrator of class {kind!r} cannot be saved", remedy=f"use one of {', '.join(KINDS)}"
        )
    if not calibrator.arrays:
        raise NotFittedError(f"{kind} has seen no labels yet", remedy="call fit(scores, labels) first")
    save_file(calibrator.arrays, path, metadata={"format": FORMAT, "kind": kind})


def load_calibrator(path: str | Path) -> Calibrator:
    """Read what `save_calibrator` wrote; it answers with the same bits.

    Args:
        path: of the file.

    Raises:
        BundleError: the file is missing, damaged, foreign or newer.
    """
    try:
        with safe_open(path, "numpy") as file:
            facts = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise BundleError(
            f"not a saved calibrator: {error}", where=str(path), remedy="save it again"
        ) from error
    kind = facts.get("kind", "")
    if facts.get("format") != FORMAT or kind not in KINDS:
        raise BundleError(
            f"not a calibrator that this version knows: format {facts.get('format')!r}, kind {kind!r}",
            where=str(path),
            remedy="save it again with this version",
        )
    calibrator = KINDS[kind]()
    calibrator.arrays = arrays
    if not (set(arrays) == set(calibrator.array_names) and _are_numbers(arrays) and calibrator._is_sound()):
        raise BundleError(f"the numbers are no {kind}", where=str(path), remedy="save it again")
    return calibrator


def _are_numbers(arrays: dict[str, np.ndarray]) -> bool:
    return all(array.dtype == np.float64 and bool(np.isfinite(array).all()) for array in arrays.values())
