"""The server under load: 1,000 → 200 → 12 with the default ranker, the load from a second process.

Beside it, in turn, a peer without HTTP, ranking and post-ranking: TensorFlow Recommenders' SavedModel, a
query tower and the BruteForce layer over the same vectors, called in its own process for one user at a time.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import peers
from benchmarks.harness import Figure, interleave, ratio_of_medians

DIM, SIZE = 64, 12
USERS, QUICK_USERS = 20_000, 4_000
MANY, QUICK_MANY = 1_000_000, 60_000  # both are searched through the approximate index
FEW = 10_000
RATE, SECONDS, QUICK_SECONDS = 100, 30.0, 4.0
CONNECTIONS = 32
ROUNDS, QUICK_ROUNDS = 7, 3  # beside the peer
ROUND_SECONDS, CALLS = 2.0, 50  # of a round: how long we are asked, and how often the peer
SERVE = "from shortlist.cli import main; main()"


def run(*, quick: bool) -> list[Figure]:
    """Latency at 100 requests a second and saturation, with many and with few items."""
    seconds = QUICK_SECONDS if quick else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        users = QUICK_USERS if quick else USERS
        many = measure(
            Path(folder) / "many",
            QUICK_MANY if quick else MANY,
            users,
            seconds,
            rounds=QUICK_ROUNDS if quick else ROUNDS,
        )
        few = measure(Path(folder) / "few", FEW, users, seconds)
    return [
        Figure("million_p99_ms_at_100", many["steady"]["p99_ms"], "ms", 15, at_least=False),
        Figure("million_p50_ms_at_100", many["steady"]["p50_ms"], "ms"),
        Figure("million_saturation_rps", many["full"]["rps"], "requests/s"),
        *many["beside"],
        Figure("tenk_p99_ms_at_100", few["steady"]["p99_ms"], "ms"),
        Figure("tenk_p50_ms_at_100", few["steady"]["p50_ms"], "ms"),
        Figure("tenk_saturation_rps", few["full"]["rps"], "requests/s", 500),
        Figure("tenk_cpu_ms_a_request", few["cpu_ms"], "ms"),
        Figure("million_resident_mb", many["resident_mb"], "MB"),
    ]


def measure(folder: Path, items: int, users: int, seconds: float, *, rounds: int = 0) -> dict[str, Any]:
    """Train a bundle, serve it, and ask it steadily, then as much as it can answer, then beside the peer."""
    folder.mkdir()
    vectors = folder / "vectors.npy"
    np.save(vectors, save_funnel(folder / "bundle", items, users))
    with serving(folder / "bundle", folder) as (port, process):
        load(port, users, 2.0)  # warm
        steady = load(port, users, seconds, RATE)
        before = cpu_seconds(process)
        full = load(port, users, seconds)
        cpu_ms = 1000 * (cpu_seconds(process) - before) / (full["rps"] * seconds)
        resident = memory_mb(process)
        beside = beside_peer(port, vectors, users, rounds) if rounds else []
    for each in (steady, full):
        if set(each["statuses"]) != {"200"}:
            print(f"{items} items: {each['statuses']}")
    return {"steady": steady, "full": full, "cpu_ms": cpu_ms, "resident_mb": resident, "beside": beside}


def beside_peer(port: int, vectors: Path, users: int, rounds: int) -> list[Figure]:
    """The median of our answers at 100 requests a second, and of the peer's calls, in turn."""
    folder = vectors.with_name("tfrs")
    with peers.started("tfrs", "serving_tfrs.py", vectors, users, SIZE, folder) as ask:
        ask(None)
        taken = interleave(
            {
                "ours": lambda: float(load(port, users, ROUND_SECONDS, RATE)["p50_ms"]),
                "tfrs": lambda: 1000 * statistics.median(ask(str(CALLS))),
            },
            rounds,
        )
    ratio, spread = ratio_of_medians(taken["tfrs"], taken["ours"])
    return [
        Figure("p50_vs_tfrs_bruteforce", ratio, "", 1, spread=spread),
        *(
            Figure(f"p50_{who}_beside", statistics.median(times), "ms", spread=(min(times), max(times)))
            for who, times in taken.items()
        ),
    ]


def save_funnel(path: Path, items: int, users: int, *, seed: int = 0) -> NDArray[np.float32]:
    """A funnel over made-up events: two towers, the default ranker of an item's features, diversity.

    Returns:
        `[items, 64]` the vectors that are searched.
    """
    import shortlist as sl

    data = made_up(items, users, seed=seed)
    earlier, recent = data.split_leave_last_out(count=1)
    ranker = sl.Ranker(candidate=[sl.Tags("genres"), sl.Number("price")], scores=["score_towers"])
    sl.rank.fit(ranker, [sl.retrieve.Nearest(_towers(earlier), k=100, name="towers")], recent, epochs=1)
    towers = _towers(data)
    funnel = sl.Funnel(
        retrieve=[sl.retrieve.Nearest(towers, k=1000, name="towers")],
        rank=sl.rank.Scored(ranker, keep=200),
        postrank=[sl.postrank.Diversity(0.05)],
        size=SIZE,
    )
    funnel.save(path)
    vectors: NDArray[np.float32] = towers.item_vectors[1:].numpy()
    return vectors


def _towers(data: Any) -> Any:
    import shortlist as sl

    towers = sl.TwoTower(
        sl.Tower([sl.Id("user_id"), sl.History("item_id", length=50)], dim=DIM),
        sl.Tower([sl.Id("item_id"), sl.Tags("genres")], dim=DIM),
    )
    towers.fit(data, epochs=1, batch_size=4096)
    return towers


def made_up(items: int, people: int, *, seed: int) -> Any:
    """Users with a taste for one of 50 genres, items of one genre, popularity like Zipf's."""
    import shortlist as sl

    random = np.random.default_rng(seed)
    count = max(people * 20, items)  # every item has a chance to be seen
    users = random.integers(0, people, count)
    ranks = (items ** random.random(count)).astype(np.int64) - 1
    own = ranks - ranks % 50 + (users % 50)  # an item near that popularity, of the user's genre
    taken = np.minimum(np.where(random.random(count) < 0.7, own, ranks), items - 1)
    table = pl.DataFrame(
        {
            "item_id": np.arange(items),
            "genres": pl.Series([[f"g{each}"] for each in range(50)])[np.arange(items) % 50],
            "price": random.uniform(1, 50, items),
        }
    )
    events = pl.DataFrame({"user_id": users, "item_id": taken, "time": 1_600_000_000 + np.arange(count)})
    return sl.Dataset(events, sl.Schema(timestamp="time"), items=table, name=f"{items} items")


@contextmanager
def serving(bundle: Path, folder: Path, *options: str) -> Iterator[tuple[int, int]]:
    """A server process on a free port: its port and its process id."""
    command = [sys.executable, "-c", SERVE, "serve", str(bundle), "--port", "0"]
    command += ["--store", f"sqlite:///{folder / 'store.db'}", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        while line and not line.startswith("listening"):
            line = process.stderr.readline()
        # A pipe that nobody reads is full one day, and stops who writes into it.
        threading.Thread(target=deque, args=(process.stderr, 0), daemon=True).start()
        yield int(line.rsplit(":", 1)[1]), process.pid
    finally:
        process.terminate()
        process.wait(30)


def load(
    port: int, users: int, seconds: float, rate: float | None = None, *, connections: int = CONNECTIONS
) -> dict[str, Any]:
    """Run the load generator."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.http_load",
        str(port),
        str(seconds),
        str(connections),
        str(users),
    ]
    command += [] if rate is None else [str(rate)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(answer))


def cpu_seconds(process: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(process: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
