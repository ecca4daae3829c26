"""The device that models are trained on besides the CPU: a GPU, or what `SHORTLIST_TEST_DEVICE` names."""

from __future__ import annotations

import os

import elsewhere
import pytest
import torch

NAME = os.environ.get("SHORTLIST_TEST_DEVICE", "cuda")

if NAME == "cuda" and not torch.cuda.is_available():
    collect_ignore_glob = ["test_*.py"]  # tests/test_elsewhere.py runs them on the pretended device


@pytest.fixture(scope="session")
def device() -> torch.device:
    """Another device than the CPU."""
    return elsewhere.device() if NAME == elsewhere.NAME else torch.device(NAME, 0)
