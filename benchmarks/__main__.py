"""`python -m benchmarks NAME [--quick] [--json FILE] [--record]`."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from benchmarks.harness import report
from benchmarks.record import record

NAMES = (
    "quality",
    "sequential",
    "tutorial",
    "retrieval_training",
    "in_batch_softmax",
    "tables",
    "out_of_core",
    "ranking_speed",
    "learning_to_rank",
    "click_models",
    "ratings",
    "encode",
    "top_k",
    "ann",
    "serving",
    "durability",
    "overload",
    "hot_swap",
    "fuzz",
    "outages",
    "soak",
    "device",
    "import_time",
)
SEED = 0


def main() -> None:
    """Run one benchmark and report its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--quick", action="store_true", help="smaller inputs, at most 50 seconds on 2 cores")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument(
        "--record", action="store_true", help="also write the table into benchmarks/README.md"
    )
    arguments = parser.parse_args()
    if arguments.record and arguments.quick:
        parser.error("--record keeps full runs only: leave --quick out")
    figures = list(importlib.import_module(f"benchmarks.{arguments.name}").run(quick=arguments.quick))
    report(arguments.name, figures, seed=SEED, quick=arguments.quick, json_file=arguments.json)
    if arguments.record:
        record(arguments.name, figures)


if __name__ == "__main__":
    main()
