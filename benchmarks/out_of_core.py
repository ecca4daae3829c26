"""Training on Parquet files that are larger than the memory it takes: peak memory, speed, exact resume.

Two sets of files of the same million users and hundred thousand items, one four times as long as the other;
each is gone through once by `fit` with a `ParquetLoader` in a process of its own. `peak_growth` is the larger
set's peak memory over the smaller's: 1 says that memory does not depend on the number of events. The process
that only imports and makes the model, with vocabularies and catalogue, is `base_mb`. `table_mb` is what the
larger set's columns take when they are decoded.

`resume_equal` is 1 when a run that was stopped in the middle of an epoch and went on from its checkpoint ends
in the same weights, bit by bit, as the run that was not.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import torch

import shortlist as sl
from benchmarks.harness import Figure, peak_mb
from shortlist.training import Callback, TrainingState

ROWS, QUICK_ROWS = 10_000_000, 500_000
RESUMED_ROWS = 300_000
LARGER = 4
USERS, ITEMS = 1_000_000, 100_000
ROW_GROUP, BUFFER, BATCH, DIM = 125_000, 250_000, 8192, 32
BYTES_A_ROW = 24  # two ids and a moment, 64 bits each
STOP_AFTER = 20  # steps of the run that is stopped


def run(*, quick: bool) -> list[Figure]:
    """Train on both sets, then on a small one in one go and in two."""
    rows = QUICK_ROWS if quick else ROWS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder / "few", rows)
        _write(folder / "many", LARGER * rows)
        _write(folder / "resumed", RESUMED_ROWS)
        base = _process(folder, "base")
        few, many = _process(folder, "few"), _process(folder, "many")
        whole, parts = _process(folder, "whole"), _process(folder, "parts")
    return [
        Figure("peak_growth", many["peak_mb"] / few["peak_mb"], "", 1.15, at_least=False),
        Figure("peak_mb", many["peak_mb"], "MB"),
        Figure("base_mb", base["peak_mb"], "MB"),
        Figure("table_mb", LARGER * rows * BYTES_A_ROW / 1e6, "MB"),
        Figure("examples_per_second", LARGER * rows / many["seconds"], "examples/s"),
        Figure("resume_equal", float(whole["weights"] == parts["weights"]), "", 1.0),
    ]


def _write(folder: Path, rows: int) -> None:
    """Events of Zipf-like popularity in files of a few row groups."""
    folder.mkdir()
    random = np.random.default_rng(rows)
    for part, start in enumerate(range(0, rows, 4 * ROW_GROUP)):
        count = min(4 * ROW_GROUP, rows - start)
        events = pl.DataFrame(
            {
                "user_id": random.integers(0, USERS, count),
                "item_id": (ITEMS ** random.random(count)).astype(np.int64) - 1,
                "timestamp": 1_500_000_000 + np.arange(start, start + count),
            }
        )
        events.write_parquet(folder / f"part-{part:04d}.parquet", row_group_size=ROW_GROUP)


def _process(folder: Path, task: str) -> dict[str, float | str]:
    command = [sys.executable, "-m", "benchmarks.out_of_core", str(folder), task]
    answer: dict[str, float | str] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    return answer


def _work(folder: Path, task: str) -> dict[str, float | str]:
    """What a process of its own does: `base`, `few`, `many`, `whole` or `parts`."""
    sample = sl.Dataset(
        pl.read_parquet(folder / "few" / "part-0000.parquet", n_rows=1000),
        sl.Schema(timestamp="timestamp"),
        users=pl.DataFrame({"user_id": np.arange(USERS)}),
        items=pl.DataFrame({"item_id": np.arange(ITEMS)}),
    )
    model = sl.TwoTower(
        query=sl.Tower([sl.Id("user_id")], dim=DIM, sparse=True),
        candidate=sl.Tower([sl.Id("item_id")], dim=DIM, sparse=True),
    )
    space = model.build(sample)
    started = time.perf_counter()
    if task != "base":
        files = folder / (task if task in ("few", "many") else "resumed")
        loader = sl.datasets.ParquetLoader(files, sample, space, batch_size=BATCH, buffer_rows=BUFFER)
        fit = partial(model.fit, sample, loader=loader, epochs=1)
        if task == "parts":
            fit = partial(fit, checkpoint_dir=folder / "checkpoints", resume=True)
            fit(callbacks=[_Stop()])
        fit()
    return {"peak_mb": peak_mb(), "seconds": time.perf_counter() - started, "weights": _digest(model)}


class _Stop(Callback):
    """Ends a training in the middle of its first epoch."""

    def on_step_end(self, state: TrainingState) -> None:
        state.stop = state.step == STOP_AFTER


def _digest(model: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, values in sorted(model.state_dict().items()):
        digest.update(name.encode() + values.numpy().tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    print(json.dumps(_work(Path(sys.argv[1]), sys.argv[2])))
