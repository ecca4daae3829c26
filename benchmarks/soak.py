"""Half the load that a server can bear, for half an hour: its memory stays where it is."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.harness import Figure
from benchmarks.serving import FEW, QUICK_USERS, load, memory_mb, save_funnel, serving

SECONDS, QUICK_SECONDS = 1800.0, 20.0
WARM_SHARE = 0.1  # of the time, after which memory is looked at for the first time
PARTS = 10


def run(*, quick: bool) -> list[Figure]:
    """Ask steadily, and look at the memory now and then."""
    seconds = QUICK_SECONDS if quick else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        save_funnel(Path(folder) / "bundle", FEW, QUICK_USERS)
        with serving(Path(folder) / "bundle", Path(folder)) as (port, process):
            rate = load(port, QUICK_USERS, max(2.0, seconds / 100))["rps"] / 2
            load(port, QUICK_USERS, WARM_SHARE * seconds, rate)
            memory, answers, others = [memory_mb(process)], 0, 0
            for _ in range(PARTS):
                found = load(port, QUICK_USERS, seconds / PARTS, rate)
                answers += found["statuses"].get("200", 0)
                others += found["requests"] - found["statuses"].get("200", 0)
                memory.append(memory_mb(process))
    print("resident memory, MB:", ", ".join(f"{each:.1f}" for each in memory))
    return [
        Figure("soak_memory_growth", memory[-1] / memory[0] - 1, "", 0.02, at_least=False),
        Figure("soak_answers", answers),
        Figure("soak_other_answers", others, "", 0, at_least=False),
        Figure("soak_rps", rate, "requests/s"),
    ]
