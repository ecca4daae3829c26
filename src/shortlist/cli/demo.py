"""The whole way on one real table: train, compare, see where items get lost, recommend, save."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shortlist.data import Dataset, History, Id, Tags, Text
from shortlist.datasets import movielens, synthetic
from shortlist.errors import DataError
from shortlist.evaluation import evaluate_lists, funnel_report
from shortlist.funnel import Funnel, rank
from shortlist.funnel.retrieve import Nearest, Retriever
from shortlist.models import EASE, Popularity, Ranker, Recommender, TwoTower
from shortlist.nn import Tower
from shortlist.postrank import Diversity

FIGURES = ("hit_rate@10", "hit_rate@100", "ndcg@10", "coverage@10")
RANKER_EVENTS = 3  # latest events of each user that the ranker learns from


def run(folder: Path | None, bundle: Path, seed: int) -> None:
    """Print the demo.

    Args:
        folder: where MovieLens-100K is; None looks in `SHORTLIST_DATA` and the cache, then downloads it.
        bundle: where the funnel is written.
        seed: of the training.
    """
    console, started = Console(), time.perf_counter()
    data = _data(folder, console)
    train, test = data.split_leave_last_out()
    console.print(f"{train!r}; each user's last event is held out, seen items are excluded, seed {seed}")
    funnel = train_funnel(train, seed=seed, progress=console.is_terminal)
    retriever = funnel.retrievers[0].model
    models: dict[str, Recommender] = {
        "popularity": Popularity().fit(train),
        "EASE": EASE().fit(train),
        "two towers": retriever,
    }
    console.print(_table(models, funnel, test))
    console.print(str(funnel_report(funnel, test)), markup=False)
    user = train.user_vocabulary.ids[0]
    console.print(funnel.recommend(user).frame.select("rank", "title", "why"))
    funnel.save(bundle)
    console.print(f"wrote {bundle} after {time.perf_counter() - started:.0f} s")


def train_funnel(train: Dataset, *, seed: int, progress: bool = False) -> Funnel:
    """Two towers and EASE, and a ranker that learns from events which neither had seen.

    Args:
        train: the train part.
        seed: of the training.
        progress: whether to show progress bars.

    Returns:
        The funnel, its retrievers trained on the whole train part.
    """
    earlier, recent = train.split_leave_last_out(count=RANKER_EVENTS)
    # No ids: a few thousand lists are too few to learn an embedding of every item from.
    ranker = Ranker(candidate=[Tags("genres")], scores=["score_towers", "score_ease"])
    rank.fit(ranker, _retrievers(earlier, seed, progress), recent, epochs=4, seed=seed, progress=progress)
    return Funnel(
        retrieve=_retrievers(train, seed, progress),
        rank=rank.Scored(ranker, keep=200),
        postrank=[Diversity(0.05)],
    )


def _retrievers(data: Dataset, seed: int, progress: bool) -> list[Retriever]:
    towers = TwoTower(
        Tower([Id("user_id"), History("item_id", length=50)], dim=64),
        Tower([Id("item_id"), Text("title"), Tags("genres")], dim=64),
    )
    towers.fit(data, seed=seed, progress=progress)
    return [Nearest(towers, k=200, name="towers"), Nearest(EASE().fit(data), k=100, name="ease")]


def _data(folder: Path | None, console: Console) -> Dataset:
    try:
        return movielens("100k", folder=folder)
    except DataError as error:
        if folder is not None:
            raise
        console.print(f"MovieLens-100K is not to be had ({error.what}); using the synthetic catalogue")
        return synthetic()


def _table(models: dict[str, Recommender], funnel: Funnel, test: Dataset) -> Table:
    table = Table("model", "recall@10", "recall@100", "NDCG@10", "coverage@10")
    rows: dict[str, Recommender | Funnel] = {**models, "the funnel": funnel}
    for name, model in rows.items():
        figures = evaluate_lists(model, test)
        table.add_row(name, *(f"{figures[each]:.3f}" for each in FIGURES))
    return table
