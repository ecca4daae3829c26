"""The retrieval tutorial of TensorFlow Recommenders, from the start of a process to printed recommendations.

Whole processes in turn, each with its library's own number of threads: import, read
MovieLens-100K and `split-tutorial.npz`, train two towers of users and titles (32 dims, batches of 8,192,
3 epochs), rank the 20,000 test events among all 1,664 titles, build the exact index, print what user 42 gets.

`speedup_vs_tfrs` is over the tutorial as it is written, with the whole-catalogue metrics on every training
batch too; `speedup_vs_tfrs_lean` over the same script with these in the evaluation only. Ours trains with the
loss that it has by default (logQ correction, no accidental hits), measures more (NDCG and MRR) and popularity
besides.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks import peers
from benchmarks.harness import Figure, interleave, ratio_of_medians

EPOCHS, QUICK_EPOCHS = 3, 2
TARGET = 5.0
HERE = Path(__file__).resolve().parent


def run(*, quick: bool) -> list[Figure]:
    """Time the processes; `quick` trains two epochs, once each, and leaves the lean script out."""
    folder = Path(os.environ.get("SHORTLIST_DATA", "../shared/data")) / "ml-100k"
    arguments = [str(folder), str(QUICK_EPOCHS if quick else EPOCHS)]
    tfrs = [str(peers.python("tfrs")), str(HERE / "tutorial_tfrs.py"), *arguments]
    commands = {
        "ours": [sys.executable, "-m", "benchmarks.tutorial_ours", *arguments],
        "tfrs": [*tfrs, "tutorial"],
    }
    if not quick:
        commands["tfrs_lean"] = [*tfrs, "lean"]
    hits: dict[str, dict[str, float]] = {}
    runs = {name: partial(_seconds, name, command, hits) for name, command in commands.items()}
    taken = interleave(runs, repeats=1 if quick else 5, warm_up=not quick)
    return _figures(taken, hits)


def _seconds(name: str, command: list[str], hits: dict[str, dict[str, float]]) -> float:
    """Run a process once; its last line, the hit rates, goes to `hits`."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
    hits[name] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def _figures(taken: dict[str, list[float]], hits: dict[str, dict[str, float]]) -> list[Figure]:
    figures = []
    for name in taken:
        if name != "ours":
            ratio, spread = ratio_of_medians(taken[name], taken["ours"])
            target = TARGET if name == "tfrs" else None
            figures.append(Figure(f"speedup_vs_{name}", ratio, "", target, spread=spread))
    for name, seconds in taken.items():
        spread = min(seconds), max(seconds)
        figures.append(Figure(f"{name}_seconds", statistics.median(seconds), "s", spread=spread))
    for name, rates in hits.items():
        figures += [Figure(f"{name}_{hit}", value) for hit, value in rates.items()]
    return figures
