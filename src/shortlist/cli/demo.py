"""The whole way on one real table: train, compare, see where items get lost, recommend, save."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shortlist import postrank
from shortlist.data import Dataset, History, Id, Tags, Text
from shortlist.datasets import movielens, synthetic
from shortlist.errors import DataError
from shortlist.evaluation import funnel_report
from shortlist.funnel import Funnel
from shortlist.funnel.retrieve import Nearest
from shortlist.models import EASE, Popularity, Recommender, TwoTower
from shortlist.nn import Tower
from shortlist.tasks import Retrieval


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
    retriever = TwoTower(
        Tower([Id("user_id"), History("item_id", pooling="attention")], normalise=True),
        Tower([Id("item_id"), Text("title"), Tags("genres")], normalise=True),
        task=Retrieval(temperature=0.2),
    )
    retriever.fit(train, epochs=8, learning_rate=3e-3, seed=seed, progress=console.is_terminal)
    funnel = Funnel(
        retrieve=[Nearest(retriever, k=300)],
        postrank=[postrank.Diversity(0.05)],
    )
    models: dict[str, Recommender] = {
        "popularity": Popularity().fit(train),
        "EASE": EASE().fit(train),
        "two towers": retriever,
    }
    console.print(_table(models, test))
    console.print(str(funnel_report(funnel, test)), markup=False)
    user = train.user_vocabulary.ids[0]
    console.print(funnel.recommend(user).frame.select("rank", "title", "why"))
    funnel.save(bundle)
    console.print(f"wrote {bundle} after {time.perf_counter() - started:.0f} s")


def _data(folder: Path | None, console: Console) -> Dataset:
    try:
        return movielens("100k", folder=folder)
    except DataError as error:
        if folder is not None:
            raise
        console.print(f"MovieLens-100K is not to be had ({error.what}); using the synthetic catalogue")
        return synthetic()


def _table(models: dict[str, Recommender], test: Dataset) -> Table:
    table = Table("model", "recall@10", "recall@100", "NDCG@10")
    for name, model in models.items():
        figures = model.evaluate(test)
        names = ("hit_rate@10", "hit_rate@100", "ndcg@10")
        table.add_row(name, *(f"{figures[each]:.3f}" for each in names))
    return table
