"""The figures of a funnel's models on held-out events, never without those of simple baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from shortlist.cli.output import Output
from shortlist.data import Dataset
from shortlist.evaluation import FunnelReport, evaluate_lists, evaluate_ranker
from shortlist.funnel import Funnel
from shortlist.funnel.retrieve import Popular, Retriever
from shortlist.models import ALS, EASE, Popularity, Recommender

MOST_EVENTS = 20_000  # held-out events that are measured; of more, a random part
EASE_ITEMS = 10_000  # up to here EASE takes seconds and less than 2 GB; beyond, ALS is the baseline
SHOWN = {
    "hit_rate@10": "recall@10",
    "hit_rate@100": "recall@100",
    "ndcg@10": "NDCG@10",
    "coverage@10": "coverage@10",
}
JUDGED = ("hit_rate@10", "hit_rate@100", "ndcg@10")  # where a model has to beat popularity

OF_RANKERS = {
    "auc": "AUC",
    "log_loss": "log loss",
    "mean_log_loss": "log loss of the mean",
    "calibration_error": "calibration error",
    "rmse": "RMSE",
    "mean_rmse": "RMSE of the mean",
}
TAKEN = ("popularity", "EASE", "ALS", "the funnel")  # names in the table that a retriever may have too

Figures = dict[str, dict[str, float]]


def measured_part(test: Dataset, *, seed: int = 0) -> Dataset:
    """A test part of which at most `MOST_EVENTS` positive events are asked for.

    Args:
        test: the test part; all its events stay in the histories.
        seed: of the draw.
    """
    if len(test.targets) <= MOST_EVENTS:
        return test
    part = Dataset(
        test.interactions, test.schema, users=test.users, items=test.items, name=test.name, past=test.past
    )
    chosen = np.random.default_rng(seed).choice(test.targets, MOST_EVENTS, replace=False)
    part.targets = np.sort(chosen)
    return part


def compare(funnel: Funnel, test: Dataset, output: Output) -> Figures:
    """Measure popularity, a strong baseline, the retrievers and the whole funnel.

    Args:
        funnel: trained on what came before the test part.
        test: the test part.
        output: told what goes on, and warned where popularity is better.

    Returns:
        Figures by the models' names, the funnel's last.
    """
    models = _models(funnel, output)
    figures = {}
    for name, model in models.items():
        with output.step(f"measuring {name}"):
            figures[name] = evaluate_lists(model, test)
        if not isinstance(model, Popularity):
            _warn_of_popularity(name, figures, output)
    return figures


def show(figures: Figures, output: Output, *, title: str) -> None:
    """Print figures as a table.

    Args:
        figures: by the models' names.
        output: where to print.
        title: a line above.
    """
    rows = [
        [name, *(f"{each.get(key, float('nan')):.4f}" for key in SHOWN)] for name, each in figures.items()
    ]
    output.table(["", *SHOWN.values()], rows, title=title)


def judge_ranker(funnel: Funnel, test: Dataset, output: Output) -> Figures:
    """Measure how well the ranker predicts labels, where it predicts any.

    Args:
        funnel: trained on what came before the test part.
        test: the test part.
        output: told what goes on, and warned where a ranker is no better than the mean.

    Returns:
        Figures by label.
    """
    with output.step("measuring the ranker"):
        figures = evaluate_ranker(funnel, test)
    for label, found in figures.items():
        for loss in ("log_loss", "rmse"):
            if found.get(loss, 0.0) > found.get(f"mean_{loss}", math.inf):
                output.warn(
                    f"the ranker predicts {label!r} worse than its mean does; check the learning rate and "
                    "the number of epochs, or whether there are enough labels"
                )
    return figures


def show_ranker(figures: Figures, output: Output) -> None:
    """Print the figures of a ranker as a table, where there are any.

    Args:
        figures: by label.
        output: where to print.
    """
    columns = {key: head for key, head in OF_RANKERS.items() if any(key in each for each in figures.values())}
    rows = [
        [label, f"{each['events']:,.0f}", *(f"{each[key]:.4f}" if key in each else "–" for key in columns)]
        for label, each in figures.items()
    ]
    if rows:
        output.table(["", "events", *columns.values()], rows, title="\nThe ranker's predictions of labels")


def flat(figures: Figures, *, prefix: str = "") -> dict[str, float]:
    """Figures as a bundle's manifest keeps them: `"the funnel/ndcg@10"`.

    Args:
        figures: by the models' names.
        prefix: before the names.
    """
    found = {f"{prefix}{name}/{key}": value for name, each in figures.items() for key, value in each.items()}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def stages(report: FunnelReport) -> list[Mapping[str, object]]:
    """A funnel report in a form that JSON can hold.

    Args:
        report: where the funnel loses what users wanted.
    """
    return [
        {"stage": each.stage, "candidates": each.size, "kept": each.kept, "lost": each.lost}
        for each in report.stages
    ]


def _models(funnel: Funnel, output: Output) -> dict[str, Recommender | Funnel]:
    models: dict[str, Recommender | Funnel] = {"popularity": Popularity().fit(funnel.data)}
    if not _has(funnel.retrievers, EASE):
        baseline = EASE() if len(funnel.data.item_vocabulary) <= EASE_ITEMS else ALS()
        with output.step(f"training {type(baseline).__name__} to compare with"):
            models[type(baseline).__name__] = baseline.fit(funnel.data)
    for each in funnel.retrievers:
        if not isinstance(each, Popular) or each.half_life is not None:
            models[f"{each.name} (retriever)" if each.name in TAKEN else each.name] = each.model
    return {**models, "the funnel": funnel}


def _has(retrievers: Sequence[Retriever], kind: type[Recommender]) -> bool:
    return any(isinstance(each.model, kind) for each in retrievers)


def _warn_of_popularity(name: str, figures: Figures, output: Output) -> None:
    ours, theirs = figures[name], figures["popularity"]
    if sum(ours[key] < theirs[key] for key in JUDGED) * 2 > len(JUDGED):
        output.warn(
            f"{name} loses to plain popularity; check the learning rate, the number of epochs, the "
            "temperature and correct_sampling_bias, or whether there are enough events"
        )
