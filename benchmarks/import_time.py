"""How long `import shortlist` takes, beside `import torch` alone."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial

from benchmarks.harness import Figure, interleave, ratio_of_medians


def run(*, quick: bool) -> list[Figure]:
    """Whole processes in turn: `python -c "import shortlist"` and `python -c "import torch"`."""
    runs = {name: partial(_seconds, name) for name in ("shortlist", "torch")}
    taken = interleave(runs, repeats=5 if quick else 11)
    ratio, spread = ratio_of_medians(taken["shortlist"], taken["torch"])
    return [Figure("ratio_to_torch", ratio, "", 1.5, at_least=False, spread=spread)]


def _seconds(module: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - started
