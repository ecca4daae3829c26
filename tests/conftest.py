"""Where the tests find real data and the peers' recorded outputs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def _shared_folder(variable: str, name: str) -> Path:
    folder = Path(os.environ.get(variable) or REPOSITORY.parent / "shared" / name)
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set {variable} to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real datasets (`SHORTLIST_DATA`)."""
    return _shared_folder("SHORTLIST_DATA", "data")


@pytest.fixture(scope="session")
def goldens_dir() -> Path:
    """The folder of the peers' recorded outputs (`SHORTLIST_GOLDENS`)."""
    return _shared_folder("SHORTLIST_GOLDENS", "goldens")
