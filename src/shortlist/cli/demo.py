"""`shortlist demo`: the whole way on one real table, from its events to a bundle."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from shortlist.cli.figures import compare, flat, show, stages
from shortlist.cli.hints import recommend_command
from shortlist.cli.output import Output
from shortlist.data import Dataset, History, Id, Tags, Text
from shortlist.datasets import movielens, synthetic
from shortlist.errors import DataError
from shortlist.evaluation import funnel_report
from shortlist.funnel import Funnel, rank
from shortlist.funnel.bundle import check_place, save_bundle
from shortlist.funnel.retrieve import Nearest, Retriever
from shortlist.models import EASE, Ranker, TwoTower
from shortlist.nn import Tower
from shortlist.postrank import Diversity

RANKER_EVENTS = 3  # latest events of each user that the ranker learns from
SHOWN_HISTORY = 8  # events of the user whose recommendations are printed

Step = Callable[[str], AbstractContextManager[None]]


def run(output: Output, folder: Path | None, bundle: Path, *, seed: int) -> None:
    """Print the demo.

    Args:
        output: where to print.
        folder: where MovieLens-100K is; None looks in `SHORTLIST_DATA` and the cache, then downloads it.
        bundle: where the funnel is written.
        seed: of the training.

    Raises:
        ConfigError: something else stands where the bundle is to be.
        DataError: the folder does not hold MovieLens-100K.
    """
    started = time.perf_counter()
    check_place(bundle)
    data = _data(folder, output)
    train, test = data.split_leave_last_out()
    output.say(f"{train!r}; seed {seed}")
    funnel = train_funnel(train, seed=seed, progress=output.progress, step=output.training_step)
    figures = compare(funnel, test, output)
    show(
        figures, output, title=f"{len(test):,} users' last events held out, seen items excluded, seed {seed}"
    )
    report = funnel_report(funnel, test)
    output.text(f"\nWhere the funnel lost what the users wanted:\n{report}\n")
    user = train.user_vocabulary.ids[0]
    shown = _show_user(output, funnel, user)
    save_bundle(funnel, bundle, metrics=flat(figures))
    output.say(f"wrote the bundle {bundle} after {time.perf_counter() - started:.0f} s of work")
    output.document(
        {
            "data": data.name,
            "seed": seed,
            "figures": figures,
            "stages": stages(report),
            **shown,
            "bundle": str(bundle),
            "seconds": time.perf_counter() - started,
            "warnings": output.warnings,
        }
    )
    output.next(*recommend_command(bundle, user, "--explain"))


def train_funnel(
    train: Dataset, *, seed: int, progress: bool = False, step: Step = lambda name: nullcontext()
) -> Funnel:
    """Two towers and EASE, and a ranker that learns from events which neither had seen.

    Args:
        train: the train part.
        seed: of the training.
        progress: whether to show progress bars.
        step: called with what is to be done next; the work runs inside what it returns.

    Returns:
        The funnel, its retrievers trained on the whole train part.
    """
    earlier, recent = train.split_leave_last_out(count=RANKER_EVENTS)
    # No ids: a few thousand lists are too few to learn an embedding of every item from.
    ranker = Ranker(candidate=[Tags("genres")], scores=["score_towers", "score_ease"])
    with step(f"training the retrievers without each user's last {RANKER_EVENTS} events"):
        retrievers = _retrievers(earlier, seed, progress)
    with step("training the ranker on what they find for these events"):
        rank.fit(ranker, retrievers, recent, epochs=4, seed=seed, progress=progress)
    with step("training the retrievers on all events"):
        retrievers = _retrievers(train, seed, progress)
    return Funnel(
        retrieve=retrievers, rank=rank.Scored(ranker, keep=200), postrank=[Diversity(0.05)], seed=seed
    )


def _retrievers(data: Dataset, seed: int, progress: bool) -> list[Retriever]:
    towers = TwoTower(
        Tower([Id("user_id"), History("item_id", length=50)], dim=64),
        Tower([Id("item_id"), Text("title"), Tags("genres")], dim=64),
    )
    towers.fit(data, seed=seed, progress=progress)
    return [Nearest(towers, k=200, name="towers"), Nearest(EASE().fit(data), k=100, name="ease")]


def _data(folder: Path | None, output: Output) -> Dataset:
    try:
        with output.step("looking for MovieLens-100K"):
            return movielens("100k", folder=folder)
    except DataError as error:
        if folder is not None:
            raise
        output.say(f"MovieLens-100K is not to be had ({error.what}): using the built-in synthetic catalogue")
        return synthetic()


def _show_user(output: Output, funnel: Funnel, user: str | int) -> dict[str, object]:
    """Print one user's history and recommendations; both come back for `--json`."""
    history = funnel.explain(user).history
    titles = [title or "–" for title in history["title"].tail(SHOWN_HISTORY)]
    output.text(f"User {user} has seen {len(history)}, the latest: {'; '.join(titles)}")
    rows = funnel.recommend(user).frame.drop(funnel.data.schema.user_id).to_dicts()
    cells = [[str(row["rank"]), row["title"] or "–", ", ".join(row["genres"]), row["why"]] for row in rows]
    output.table(["rank", "title", "genres", "why"], cells, title=f"\nfor user {user}")
    return {"user": user, "history": history.to_dicts(), "recommendations": rows}
