"""What comes next: a causal transformer on MovieLens-1M and Amazon Beauty, ranked among all items.

Each user's last event is the test, the one before it the validation, in the order of the public files
`sasrec/ml-1m.txt.gz` (Kang & McAuley 2018) and `s3rec/Beauty.txt.gz` (Zhou et al. 2020). At the test, the
history holds the validation's event too. The settings were chosen by NDCG@10 on the validation.

On MovieLens-1M the model is then trained on all but the last events, as HSTU's published figures are, for a
fixed number of epochs. On Beauty it is trained on all but the last two, as S³-Rec's are, and the validation
chooses the epoch. The test is looked at once.

`ml1m_ndcg10` and `beauty_ndcg10` leave out of the ranking what is in the user's history, as the figures do
that they are held against (RecTools' and HSTU's on MovieLens-1M, S³-Rec's on Beauty); `…_seen_allowed`
rank every item of the catalogue, those of the history too.
"""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

import shortlist as sl
from benchmarks.harness import Figure
from shortlist.metrics import FactorizedTopK
from shortlist.models import ItemKNN, Popularity, Recommender, Sequential

QUICK_USERS, QUICK_EPOCHS = 600, 3
ML1M: dict[str, Any] = {
    "model": {"dim": 64, "dropout": 0.1},
    "fit": {"epochs": 20, "batch_size": 32, "learning_rate": 2e-3, "schedule": "cosine", "warmup_steps": 100},
}
BEAUTY: dict[str, Any] = {
    "model": {"dim": 64, "dropout": 0.5, "length": 50},
    "fit": {
        "epochs": 20,
        "batch_size": 128,
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "warmup_steps": 100,
    },
}


@dataclass(frozen=True)
class Parts:
    """A data set by the order of events: train, validation, test.

    Args:
        train: all but the last two events of each user.
        validation: the last but one.
        before_test: all but the last, with the train part's vocabularies.
        test: the last two; the last is asked for.
        asked: `[users]` the rows of the last events in `test`.
    """

    train: sl.Dataset
    validation: sl.Dataset
    before_test: sl.Dataset
    test: sl.Dataset
    asked: torch.Tensor


def run(*, quick: bool) -> list[Figure]:
    """Train and test on both; `quick` trains few epochs on the first users, for whom there are no targets."""
    users = QUICK_USERS if quick else None
    figures = [
        *_figures("ml1m", parts_of(pairs("sasrec/ml-1m.txt.gz"), users), ML1M, 0.17, quick),
        *_figures("beauty", parts_of(rows("s3rec/Beauty.txt.gz"), users), BEAUTY, 0.0327, quick),
    ]
    return [replace(figure, target=None) for figure in figures] if quick else figures


def _figures(name: str, parts: Parts, settings: dict[str, Any], target: float, quick: bool) -> list[Figure]:
    model = Sequential(**settings["model"])
    options = settings["fit"] | ({"epochs": QUICK_EPOCHS, "warmup_steps": 0} if quick else {})
    wall, cpu = time.perf_counter(), time.process_time()
    if name == "ml1m":
        model.fit(parts.before_test, **options)
    else:
        model.fit(parts.train, validation=parts.validation, monitor="ndcg@10", **options)
    wall, cpu = (time.perf_counter() - wall) / 60, (time.process_time() - cpu) / 60
    unseen, anything = (hits(model, parts, exclude_seen=exclude) for exclude in (True, False))
    figures = [
        Figure(f"{name}_ndcg10", unseen["ndcg@10"], "", target),
        Figure(f"{name}_hr10", unseen["hit_rate@10"]),
        Figure(f"{name}_ndcg10_seen_allowed", anything["ndcg@10"]),
        Figure(f"{name}_minutes", wall, "min", 60, at_least=False),
        Figure(f"{name}_cpu_minutes", cpu, "min"),
    ]
    for baseline in (Popularity(), ItemKNN()):
        reached = hits(baseline.fit(parts.before_test), parts, exclude_seen=True)["ndcg@10"]
        figures.append(Figure(f"{name}_{type(baseline).__name__.lower()}_ndcg10", reached))
    return figures


def hits(model: Recommender, parts: Parts, *, exclude_seen: bool) -> dict[str, float]:
    """Hit rate and NDCG of the last events among all items."""
    metric = FactorizedTopK(ks=(10,))
    targets = torch.from_numpy(parts.test.item_index)
    everything = torch.arange(len(parts.test.item_vocabulary))
    if isinstance(model, Sequential):
        metric.bind(model.item_vectors)
    for part in parts.asked.split(500):
        requests = parts.test.requests(part)
        exclude = requests.history if exclude_seen else None
        if isinstance(model, Sequential):
            metric.update(model.embed_queries(requests), targets[part], exclude=exclude)
        else:
            scores = model.score(requests, everything.expand(len(part), -1))
            metric.update_scores(scores, targets[part], exclude=exclude)
    return dict(metric.compute())


def parts_of(sequences: Iterator[tuple[int, list[int]]], users: int | None = None) -> Parts:
    """Divide what users did; the catalogue holds every item of the file.

    Args:
        sequences: each user's items in order.
        users: how many of the first users to keep; None keeps all.
    """
    kept = list(sequences)[:users]
    lengths = np.array([len(items) for _, items in kept])
    owners = np.repeat([user for user, _ in kept], lengths)
    place = np.concatenate([np.arange(length) for length in lengths])
    left = np.repeat(lengths, lengths) - place  # 1 for a user's last event
    events = pl.DataFrame(
        {"user_id": owners, "item_id": [item for _, items in kept for item in items], "time": place}
    )
    schema = sl.Schema(timestamp="time")
    items = events.select("item_id").unique(maintain_order=True)
    train = sl.Dataset(events.filter(left > 2), schema, items=items)
    validation, test = (
        sl.Dataset(events.filter(chosen), schema, items=items, past=train)
        for chosen in (left == 2, left <= 2)
    )
    asked = torch.from_numpy(np.flatnonzero(left[left <= 2] == 1))
    return Parts(train, validation, train.with_interactions(events.filter(left > 1)), test, asked)


def pairs(name: str) -> Iterator[tuple[int, list[int]]]:
    """The users of a file with one `user item` a line, in order."""
    table = np.loadtxt(_file(name), dtype=np.int64)
    bounds = np.flatnonzero(np.diff(table[:, 0])) + 1
    for events in np.split(table, bounds):
        yield int(events[0, 0]), events[:, 1].tolist()


def rows(name: str) -> Iterator[tuple[int, list[int]]]:
    """The users of a file with one `user item item …` a line."""
    with gzip.open(_file(name), "rt", encoding="ascii") as lines:
        for line in lines:
            user, *items = map(int, line.split())
            yield user, items


def _file(name: str) -> Path:
    return Path(os.environ.get("SHORTLIST_DATA", "../shared/data")) / name
