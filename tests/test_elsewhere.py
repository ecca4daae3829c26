"""The tests of other devices, on the pretended one.

They have a process of their own: PyTorch prepares for the devices that it knows when it first goes backward,
and saves and restores the random state of each from then on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import elsewhere

REPOSITORY = Path(__file__).resolve().parent.parent


def test_losses_and_models_work_on_a_device_whose_tensors_refuse_to_meet_the_cpus() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/devices"],
        cwd=REPOSITORY,
        env={**os.environ, "SHORTLIST_TEST_DEVICE": elsewhere.NAME},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
