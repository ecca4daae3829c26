"""A funnel on a device: how large it is, what eight bits cost, and how soon it answers beside LiteRT.

- `ml1m`: a transformer trained on all but each user's last event of MovieLens-1M, exported with float32 and
  with int8 tables. NDCG@10 of the last events is that of `Device.recommend` after each user's own history,
  over the full catalogue. Sizes are of all files, titles and genres among them.
- Speed: 10,000 and 100,000 made-up items with titles, 64 numbers each, a transformer over a history of 50,
  exported within 8 MB. The time is that of `Device.recommend`: from the ids of the history to twelve others
  with their titles. The peer is the same network, item vectors and the best items included, as a LiteRT
  flatbuffer in float32 in its own interpreter, with the same ids in and out. One thread each, in turn; both
  give the same items.
- `browser`: the 10,000 items in headless Chromium, whose lists are to be those of `Device`.
"""

from __future__ import annotations

import json
import math
import statistics
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

import shortlist as sl
from benchmarks import device_browser, peers
from benchmarks.device_network import save_network
from benchmarks.harness import Figure, interleave
from shortlist.export import Device, DeviceManifest, export_funnel
from shortlist.export.item_table import read_item_table
from shortlist.models import Sequential

MEGABYTE = 1e6
EPOCHS, QUICK_EPOCHS, QUICK_USERS = 8, 2, 400
SIZES = {"tenk": (10_000, 1.0), "hundredk": (100_000, 5.0)}
QUICK_SIZES = ("tenk",)
BUDGET = "8MB"
DIM, LENGTH, K = 64, 50, 12
ROUNDS, QUICK_ROUNDS, HISTORIES = 15, 5, 100


def run(*, quick: bool) -> list[Figure]:
    """All of it; `quick` trains few epochs on the first users, for whom there are no targets of quality."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        figures = _ml1m(Path(folder), quick=quick)
        for name in QUICK_SIZES if quick else SIZES:
            figures += _speed(name, Path(folder), quick=quick)
    slowest = min(figure.value for figure in figures if figure.name.endswith("_vs_litert"))
    return [*figures, Figure("vs_litert", slowest, "slower size", 1.0)]


def _ml1m(folder: Path, *, quick: bool) -> list[Figure]:
    full = sl.datasets.movielens("1m")
    events = full.interactions.filter(pl.col("user_id") <= QUICK_USERS) if quick else full.interactions
    data = sl.Dataset(events, full.schema, users=full.users, items=full.items, name=full.name)
    train, test = data.split_leave_last_out()
    model = Sequential(dim=DIM, dropout=0.1)
    model.fit(
        train,
        epochs=QUICK_EPOCHS if quick else EPOCHS,
        learning_rate=2e-3,
        schedule="cosine",
        warmup_steps=0 if quick else 100,
    )
    funnel = sl.Funnel(retrieve=[sl.retrieve.Nearest(model, k=100)], size=10)
    reached = {}
    for encoding in ("float32", "int8"):
        path = folder / f"ml1m-{encoding}"
        export_funnel(funnel, path, encoding=encoding)
        reached[encoding] = _ndcg(Device.load(path), test)
    loss = 1 - reached["int8"] / reached["float32"]
    figures = [
        Figure("ml1m_int8_mb", _size(folder / "ml1m-int8"), "MB", 2.0, at_least=False),
        Figure("ml1m_float32_mb", _size(folder / "ml1m-float32"), "MB"),
        Figure("ml1m_int8_ndcg_loss", loss, "", 0.01, at_least=False),
        Figure("ml1m_int8_ndcg10", reached["int8"]),
        Figure("ml1m_float32_ndcg10", reached["float32"]),
    ]
    return [replace(figure, target=None) for figure in figures] if quick else figures


def _ndcg(device: Device, test: sl.Dataset) -> float:
    """The mean over the held-out events."""
    requests = test.requests(torch.from_numpy(test.targets))
    vocabulary = test.item_vocabulary
    wanted = vocabulary.decode(test.item_index[test.targets]).to_list()
    gains = []
    for history, item in zip(requests.history.to_lists(), wanted, strict=True):
        found = device.recommend(vocabulary.decode(history).to_list(), k=10).items
        gains.append(1 / math.log2(found.index(item) + 2) if item in found else 0.0)
    return statistics.mean(gains)


def _size(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / MEGABYTE


def _speed(name: str, folder: Path, *, quick: bool) -> list[Figure]:
    items, target = SIZES[name]
    funnel = sl.Funnel(retrieve=[sl.retrieve.Nearest(_untrained(items), k=100, recall=1)], size=K)
    path, network = folder / name, folder / f"{name}.pt2"
    report = export_funnel(funnel, path, max_bytes=BUDGET)
    save_network(funnel, network, length=LENGTH, found=K + LENGTH)
    items_file = folder / f"{name}-items.json"
    items_file.write_text(json.dumps(_ids_and_titles(path)), encoding="utf-8")
    random = np.random.default_rng(1)
    histories = [random.choice(items, LENGTH, replace=False).tolist() for _ in range(HISTORIES)]
    with (
        peers.started("ours", "device_ours.py", path, K) as ours,
        peers.started("litert", "device_litert.py", network, items_file, K) as litert,
    ):
        contenders = {"ours": ours, "litert": litert}
        asked = [json.dumps(each) for each in histories]
        ours(None), litert(None)
        lists = [ours(each)["items"] for each in asked]
        same = [
            len(set(found) & set(litert(each)["items"])) for each, found in zip(asked, lists, strict=True)
        ]
        if statistics.mean(same) < (report.overlap - 0.1) * K:  # but for what the quantised vectors exchange
            raise RuntimeError(f"the peer and ours have {statistics.mean(same)} of {K} items in common")
        taken = interleave(
            {
                who: lambda ask=ask: statistics.median(ask(each)["seconds"] for each in asked)
                for who, ask in contenders.items()
            },
            repeats=QUICK_ROUNDS if quick else ROUNDS,
        )
    ratios = [b / a for a, b in zip(taken["ours"], taken["litert"], strict=True)]
    mine, theirs = (Milliseconds.of(taken[who]) for who in ("ours", "litert"))
    in_browser = device_browser.figures(path, histories, lists) if name == "tenk" else []
    return [
        *in_browser,
        Figure(f"{name}_mb", _size(path), "MB", 8.0 if name == "hundredk" else None, at_least=False),
        Figure(f"{name}_overlap", report.overlap, next(iter(report.encodings.values()))),
        Figure(f"{name}_ms", mine.median, "ms", target, at_least=False, spread=mine.spread),
        Figure(f"{name}_litert_ms", theirs.median, "ms", spread=theirs.spread),
        Figure(f"{name}_vs_litert", theirs.median / mine.median, spread=(min(ratios), max(ratios))),
    ]


@dataclass(frozen=True)
class Milliseconds:
    """The rounds of one contender."""

    median: float
    spread: tuple[float, float]

    @classmethod
    def of(cls, seconds: list[float]) -> Milliseconds:
        """From seconds a round."""
        rounds = [each * 1e3 for each in seconds]
        return cls(statistics.median(rounds), (min(rounds), max(rounds)))


def _ids_and_titles(path: Path) -> tuple[list[str | int], list[str]]:
    """Of the items of an export in the order of its rows from 1 on."""
    manifest = DeviceManifest.read(path)
    ids, columns = read_item_table(manifest.files[manifest.items.file].read(path))
    return ids, columns["title"]


def _untrained(items: int) -> Sequential:
    """A model over made-up films: its size and speed do not depend on what it has learned."""
    random = np.random.default_rng(0)
    events = pl.DataFrame(
        {
            "user_id": np.repeat(np.arange(items // 10), 12),
            "item_id": np.concatenate([np.arange(items), random.integers(0, items, items // 10 * 2)]),
            "time": np.tile(np.arange(12), items // 10),
        }
    )
    films = pl.DataFrame({"item_id": np.arange(items), "title": made_up_titles(items, random)})
    model = Sequential(dim=DIM, length=LENGTH, loss="in_batch")
    model.fit(
        sl.Dataset(events, sl.Schema(timestamp="time"), items=films, name="made up"), epochs=1, batch_size=512
    )
    return model


def made_up_titles(count: int, random: np.random.Generator) -> list[str]:
    """Titles of about the length and the variety of MovieLens's: words of its titles, put together anew."""
    words = sl.datasets.movielens("1m").items["title"].str.extract_all(r"[A-Za-z']+").explode().drop_nulls()
    drawn = words.to_numpy()[random.integers(0, len(words), (count, 3))]
    years = random.integers(1950, 2026, count)
    return [f"{' '.join(some)} ({year})" for some, year in zip(drawn, years, strict=True)]
