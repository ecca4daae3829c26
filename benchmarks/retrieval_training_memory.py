"""The memory of `retrieval_training` with a million users and items, measured in a process of its own.

Started as `python -m benchmarks.retrieval_training_memory fp32|bf16`, it prints the megabytes that building
the model and an epoch of a few steps add to the process's resident memory at its peak. Linux only.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from benchmarks.retrieval_training import (
    BATCH,
    KINDS,
    MILLION_DIM,
    QUICK_STEPS,
    THREADS,
    train,
    two_towers,
    zipf_events,
)
from shortlist.data.feature_space import FeatureSpace
from shortlist.data.loader import BatchLoader


def main() -> None:
    """Train and print."""
    tables = KINDS[sys.argv[1]]
    torch.set_num_threads(THREADS)
    data, rows = zipf_events(QUICK_STEPS * BATCH)
    model = two_towers(MILLION_DIM, tables)
    model.space = FeatureSpace.fit(data, *model.features(data))
    loader = BatchLoader(data, model.space, batch_size=BATCH, rows=rows)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _kilobytes("VmRSS")
    model.build_layers()
    train(model, data, loader, tables)
    print((_kilobytes("VmHWM") - before) / 1000)


def _kilobytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


if __name__ == "__main__":
    main()
