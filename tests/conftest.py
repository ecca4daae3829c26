"""Where the tests find real data and the peers' recorded outputs, and the instruction sets to test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from shortlist import kernels
from shortlist.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_sessionstart() -> None:
    """Let Ctrl-C end a training where the shell has it ignored, as for what runs in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture(params=["avx512", "avx2", "portable"])
def instructions(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that this processor has, while the test runs."""
    try:
        kernels.use_kernels(request.param)
    except ConfigError as error:
        pytest.skip(str(error))
    yield request.param
    kernels.use_kernels()
