"""How long all public names of `shortlist` take to import, beside `import torch` alone."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial

from benchmarks.harness import Figure, interleave, ratio_of_medians

# The names are imported when they are first asked for, so that `import shortlist` alone would say nothing.
IMPORTS = {"shortlist": "from shortlist import *", "torch": "import torch"}


def run(*, quick: bool) -> list[Figure]:
    """Whole processes in turn: `python -c "from shortlist import *"` and `python -c "import torch"`."""
    runs = {name: partial(_seconds, code) for name, code in IMPORTS.items()}
    taken = interleave(runs, repeats=5 if quick else 11)
    ratio, spread = ratio_of_medians(taken["shortlist"], taken["torch"])
    return [Figure("ratio_to_torch", ratio, "", 1.5, at_least=False, spread=spread)]


def _seconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started
