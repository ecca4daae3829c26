"""What every benchmark shares: figures, their table and their JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

PACKAGES = ("torch", "numpy", "polars", "scipy")


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Args:
        name: as the issues give it.
        value: what was measured.
        unit: such as `"rows/s"`; empty for a ratio or a share.
        target: the number to reach, or None.
        at_least: whether the target is a floor rather than a ceiling.
        spread: smallest and largest of the runs, or None.
    """

    name: str
    value: float
    unit: str = ""
    target: float | None = None
    at_least: bool = True
    spread: tuple[float, float] | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def interleave(
    runs: dict[str, Callable[[], float]], repeats: int = 5, *, warm_up: bool = True
) -> dict[str, list[float]]:
    """Measure several things in turn, so that a drift of the machine's speed meets all alike.

    Args:
        runs: a function each that does the work once and returns its seconds.
        repeats: counted rounds.
        warm_up: whether a round that does not count comes first.

    Returns:
        The seconds of each, in the order of the rounds.
    """
    if warm_up:
        for run in runs.values():
            run()
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            taken[name].append(run())
    return taken


def ratio_of_medians(slower: Sequence[float], faster: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """How many times faster one is, with the spread of the ratio round by round."""
    ratios = [a / b for a, b in zip(slower, faster, strict=True)]
    return statistics.median(slower) / statistics.median(faster), (min(ratios), max(ratios))


def peak_mb() -> float:
    """Largest resident memory of this process; not its parent's, which `ru_maxrss` may report."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


def mean_figure(name: str, values: Sequence[float], target: float | None) -> Figure:
    """The mean of several seeds, with their spread."""
    return Figure(name, statistics.mean(values), "", target, spread=(min(values), max(values)))


def machine() -> dict[str, Any]:
    """The machine that the figures were measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }


FIELDS = ("name", "value", "unit", "target", "holds", "spread")
COLUMNS = ("figure", "value", "unit", "target", "holds", "min–max")


def row(figure: Figure) -> tuple[str, ...]:
    """A figure as the cells of its row, under `COLUMNS`."""
    target = "" if figure.target is None else f"{'≥' if figure.at_least else '≤'} {_number(figure.target)}"
    holds = {None: "", True: "yes", False: "NO"}[figure.holds]
    spread = "" if figure.spread is None else "–".join(map(_number, figure.spread))
    return figure.name, _number(figure.value), figure.unit, target, holds, spread


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def report(name: str, figures: Sequence[Figure], *, seed: int, quick: bool, json_file: Path | None) -> None:
    """Print the table and write the JSON.

    Args:
        name: the benchmark.
        figures: what it measured.
        seed: that it ran with.
        quick: whether the inputs were the small ones.
        json_file: where to write; None writes nothing.
    """
    table = Table(title=f"{name}{' (quick)' if quick else ''}")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("figure", "unit") else "right")
    for each in figures:
        table.add_row(*row(each))
    Console(width=120).print(table)
    if json_file is not None:
        document = {
            "benchmark": name,
            "versions": versions(),
            "machine": machine(),
            "seed": seed,
            "quick": quick,
            "figures": [{field: getattr(each, field) for field in FIELDS} for each in figures],
        }
        json_file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Python's version and those of the packages that the figures depend on."""
    import shortlist

    ours = {"python": platform.python_version(), "shortlist": shortlist.__version__}
    return ours | {package: version(package) for package in PACKAGES}


def _processor() -> str:
    try:
        output = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in output.splitlines() if line.startswith("Model name")]
    return names[0] if names else platform.machine()
