"""Calibrators on disk, alone and in a funnel's bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from calibration.calibration_cases import CALIBRATORS, overconfident
from safetensors.numpy import save_file

from shortlist.calibration import Isotonic, Platt, Spline, Temperature, load_calibrator, save_calibrator
from shortlist.calibration.calibrator import Array, Calibrator
from shortlist.calibration.storage import FORMAT
from shortlist.errors import BundleError, ConfigError, NotFittedError


@pytest.mark.parametrize("kind", CALIBRATORS)
def test_a_saved_calibrator_gives_the_same_bits(kind, tmp_path: Path):
    calibrator = kind().fit(*overconfident(300, seed=0))
    save_calibrator(calibrator, tmp_path / "file")
    loaded = load_calibrator(tmp_path / "file")
    assert type(loaded) is kind
    scores = torch.linspace(-20, 20, 500)
    assert torch.equal(loaded(scores), calibrator(scores))


def test_what_is_not_fitted_or_not_ours_is_not_saved(tmp_path: Path):
    class Half(Platt):
        """Somebody's own."""

    with pytest.raises(NotFittedError, match="has seen no labels"):
        save_calibrator(Platt(), tmp_path / "file")
    with pytest.raises(ConfigError, match="class 'Half' cannot be saved"):
        save_calibrator(Half().fit(*overconfident(50, seed=0)), tmp_path / "file")


def write(path: Path, arrays: dict[str, Array], **facts: str) -> None:
    save_file(arrays, path, metadata={"format": FORMAT, **facts})


def numbers(*values: float) -> Array:
    return np.array(values)


@pytest.mark.parametrize(
    ("kind", "arrays"),
    [
        (Temperature, {"temperature": numbers(-1)}),
        (Temperature, {"temperature": numbers(np.nan)}),
        (Temperature, {"temperature": numbers(1, 2)}),
        (Temperature, {"heat": numbers(1)}),
        (Temperature, {"temperature": np.ones(1, np.float32)}),
        (Platt, {"slope": numbers(-1), "shift": numbers(0)}),
        (Platt, {"slope": numbers(1)}),
        (Isotonic, {"scores": numbers(1, 0), "probabilities": numbers(0, 1)}),
        (Isotonic, {"scores": numbers(0, 1), "probabilities": numbers(1, 0)}),
        (Isotonic, {"scores": numbers(0, 1), "probabilities": numbers(0, 2)}),
        (Isotonic, {"scores": numbers(0, 1), "probabilities": numbers(0)}),
        (Isotonic, {"scores": numbers(), "probabilities": numbers()}),
        (Spline, {"bounds": numbers(0, 1), "pieces": numbers(1, 2)}),
        (Spline, {"bounds": numbers(1, 0), "pieces": numbers(0, 0, 1, 0).reshape(4, 1)}),
        (Spline, {"bounds": numbers(0, 1), "pieces": numbers(0, 0, -1, 0).reshape(4, 1)}),
        (Spline, {"bounds": numbers(0), "pieces": numbers().reshape(4, 0)}),
    ],
)
def test_numbers_that_are_no_calibrators_are_refused(kind: type[Calibrator], arrays, tmp_path: Path):
    write(tmp_path / "file", arrays, kind=kind.__name__)
    with pytest.raises(BundleError, match=f"the numbers are no {kind.__name__}"):
        load_calibrator(tmp_path / "file")


def test_files_that_are_none_are_refused(tmp_path: Path):
    with pytest.raises(BundleError, match="not a saved calibrator"):
        load_calibrator(tmp_path / "nothing")
    (tmp_path / "text").write_text(json.dumps({"kind": "Platt"}))
    with pytest.raises(BundleError, match="not a saved calibrator"):
        load_calibrator(tmp_path / "text")
    write(tmp_path / "newer", {"slope": numbers(1)}, kind="Beta")
    with pytest.raises(BundleError, match="kind 'Beta'"):
        load_calibrator(tmp_path / "newer")
    save_file({"slope": numbers(1)}, tmp_path / "foreign")
    with pytest.raises(BundleError, match="format None"):
        load_calibrator(tmp_path / "foreign")
