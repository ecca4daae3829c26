"""Reading a Parquet file and encoding its two string ids, beside Polars reading and casting them alone."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import Figure, interleave, peak_mb

ROWS, QUICK_ROWS = 20_000_000, 2_000_000
ROWS_A_USER, ROWS_AN_ITEM = 20, 100
ROW_GROUP = 1_000_000


def run(*, quick: bool) -> list[Figure]:
    """Whole processes in turn, timed from the open file to the dense indices, imports not counted."""
    rows = QUICK_ROWS if quick else ROWS
    peaks: dict[str, list[float]] = {"ours": [], "polars": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        write_events(path, rows)

        def measure(reader: str) -> float:
            command = [sys.executable, "-m", "benchmarks.encode", reader, str(path)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            figures = json.loads(answer)
            peaks[reader].append(figures["peak_mb"])
            return float(figures["seconds"])

        taken = interleave({"ours": lambda: measure("ours"), "polars": lambda: measure("polars")})
    speed = {name: [rows / seconds for seconds in each] for name, each in taken.items()}
    return [
        _figure("rows_per_second", speed["ours"], "rows/s", 1.5e6),
        _figure("peak_mb", peaks["ours"], "MB", 1500, at_least=False),
        _figure("polars_rows_per_second", speed["polars"], "rows/s"),
        _figure("polars_peak_mb", peaks["polars"], "MB"),
    ]


def write_events(path: Path, rows: int, *, seed: int = 0) -> None:
    """Write events of Zipf-like popularity: string ids of users and items, and rising times."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)
    names = [
        pa.array([f"{kind}_{number:08d}" for number in rng.permutation(size)])
        for kind, size in (("user", rows // ROWS_A_USER), ("item", rows // ROWS_AN_ITEM))
    ]
    schema = pa.schema({"user_id": pa.string(), "item_id": pa.string(), "timestamp": pa.int64()})
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, ROW_GROUP):
            count = min(ROW_GROUP, rows - start)
            columns = [ids.take(pa.array(_ranks(rng, count, len(ids)))) for ids in names]
            times = pa.array(1_500_000_000 + np.arange(start, start + count))
            writer.write_table(pa.table([*columns, times], schema=schema))


def _ranks(rng: np.random.Generator, count: int, size: int) -> np.ndarray:
    """Ranks from 0 with a probability in proportion to 1 / (rank + 10)."""
    ranks = 10 * ((size + 10) / 10) ** rng.random(count) - 10
    return np.minimum(ranks.astype(np.int64), size - 1)


def _figure(
    name: str, values: list[float], unit: str, target: float | None = None, *, at_least: bool = True
) -> Figure:
    spread = (min(values), max(values))
    return Figure(name, statistics.median(values), unit, target, at_least=at_least, spread=spread)


def _ours(path: Path) -> float:
    import shortlist.datasets

    started = time.perf_counter()
    data = shortlist.datasets.from_files(path)
    indices = data.user_index, data.item_index
    seconds = time.perf_counter() - started
    assert all(int(index.min()) > 0 for index in indices)
    return seconds


def _polars(path: Path) -> float:
    import polars as pl

    started = time.perf_counter()
    ids = pl.col("user_id", "item_id").cast(pl.Categorical)
    table = pl.scan_parquet(path).with_columns(ids).collect(engine="streaming")
    codes = [table[name].to_physical().to_numpy() for name in ("user_id", "item_id")]
    seconds = time.perf_counter() - started
    assert len(codes[0]) == len(codes[1])
    return seconds


if __name__ == "__main__":
    reader, file = sys.argv[1], Path(sys.argv[2])
    seconds = {"ours": _ours, "polars": _polars}[reader](file)
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb()}))
