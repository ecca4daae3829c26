"""Click models: our DCN-v2 and FinalMLP beside the same models of FuxiCTR, and LightGBM.

Frappe (the 86,582 rows of the NFM split's validation and test parts) and MovieLens-1M as clicks, each split
80/10/10 at random, five seeds; a seed decides the split, the first weights and the order. All see the same
columns, encoded by the train part. Each model has the same widths, dropout, batch size, Adam rate and epochs
here and there. Each side has three settings, from which the validation parts choose one for each model by
itself: on Frappe their mean over all seeds, on MovieLens-1M, whose trainings take minutes, that of the first
seed. FuxiCTR's settings are of the tables' weight decay, ours of the decay and of how the rate falls,
LightGBM's of the size of its trees. FuxiCTR divides its rate by ten after each epoch that is none better; all
stop two epochs after their best and keep that. AUC is of the test part. The peer runs beside ours, each on
one thread.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

import shortlist as sl
from benchmarks import peers
from benchmarks.click_recipes import Protocol, Recipe, Trial, protocols
from benchmarks.click_sets import PARTS
from benchmarks.harness import Figure
from shortlist.data.feature_space import FeatureSpace
from shortlist.data.loader import BatchLoader
from shortlist.metrics import auc

SEEDS = (0, 1, 2, 3, 4)
QUICK_ROWS, QUICK_EPOCHS, QUICK_BATCH = 20_000, 2, 256
PATIENCE = 2  # FuxiCTR's own
Ask = peers.Ask


@dataclass(frozen=True)
class Areas:
    """AUC of one training.

    Args:
        validation: of the validation part, which chooses.
        test: of the test part.
    """

    validation: float
    test: float


Trainings = Sequence[Callable[[], Areas]]


def run(*, quick: bool) -> list[Figure]:
    """Both sets; `quick` learns one seed of a part of each for two epochs, without targets."""
    torch.set_num_threads(1)
    began, found = time.perf_counter(), []
    for protocol in protocols(rows=QUICK_ROWS if quick else None):
        if quick:
            found += _compare(
                replace(protocol, epochs=QUICK_EPOCHS, batch=QUICK_BATCH), SEEDS[:1], target=None
            )
        else:
            found += _compare(protocol, SEEDS, target=0.0)
    return [*found, Figure("seconds", time.perf_counter() - began, "s")]


def _compare(protocol: Protocol, seeds: Sequence[int], *, target: float | None) -> Iterator[Figure]:
    choosing = seeds[: protocol.choosing_seeds]
    tried = [_areas_of_a_seed(protocol, seed, {}) for seed in choosing]
    chosen = {name: best_setting([each[name] for each in tried]) for name in tried[0]}
    areas = {name: [each[name][number].test for each in tried] for name, number in chosen.items()}
    for seed in seeds[len(choosing) :]:
        for name, (only,) in _areas_of_a_seed(protocol, seed, chosen).items():
            areas[name].append(only.test)
    set_name = protocol.clicks.name
    for name, each in areas.items():
        yield Figure(f"{set_name}_{name}_auc", statistics.mean(each), _deviation(each), spread=_spread(each))
    for name in protocol.recipes:
        yield _difference(
            f"{set_name}_{name}_minus_fuxictr", areas, f"{name}_ours", f"{name}_fuxictr", target
        )
    best_name = max(
        (f"{name}_ours" for name in protocol.recipes), key=lambda name: statistics.mean(areas[name])
    )
    yield _difference(f"{set_name}_best_minus_lightgbm", areas, best_name, "lightgbm", target)


def best_setting(tried: Sequence[Sequence[Areas]]) -> int:
    """The number of the setting whose validation parts have the best mean.

    Args:
        tried: by each seed, all settings.
    """
    means = [statistics.mean(each.validation for each in setting) for setting in zip(*tried, strict=True)]
    return means.index(max(means))


def _areas_of_a_seed(protocol: Protocol, seed: int, chosen: dict[str, int]) -> dict[str, list[Areas]]:
    """What each contender reached: with all of its settings, or with the one that was chosen before."""
    parts = protocol.clicks.split(seed)

    def train(contenders: dict[str, Trainings]) -> dict[str, list[Areas]]:
        return {
            name: [training() for training in _chosen(trainings, chosen.get(name))]
            for name, trainings in contenders.items()
        }

    with peers_of(protocol, parts) as (fuxictr, lightgbm), ThreadPoolExecutor(1) as beside:
        theirs = beside.submit(train, _fuxictr(protocol, parts, fuxictr, seed=seed))
        ours = train(_ours(protocol, parts, seed=seed))
        ours |= train(_lightgbm(protocol, parts, lightgbm, seed=seed))
        return ours | theirs.result()


def _chosen(trainings: Trainings, number: int | None) -> Trainings:
    return trainings if number is None else trainings[number : number + 1]


def _ours(protocol: Protocol, parts: Sequence[sl.Dataset], *, seed: int) -> dict[str, Trainings]:
    def training(recipe: Recipe, trial: Trial) -> Callable[[], Areas]:
        return lambda: train_ours(protocol, recipe, trial, parts, seed=seed)

    return {
        f"{name}_ours": [training(recipe, trial) for trial in protocol.ours]
        for name, recipe in protocol.recipes.items()
    }


def _fuxictr(protocol: Protocol, parts: Sequence[sl.Dataset], ask: Ask, *, seed: int) -> dict[str, Trainings]:
    common = {
        "epochs": protocol.epochs,
        "batch_size": protocol.batch,
        "embedding_dim": protocol.dim,
        "seed": seed,
    }

    def training(recipe: Recipe, decay: float) -> Callable[[], Areas]:
        asked = {"model": recipe.model, "learning_rate": protocol.rate, "embedding_regularizer": decay}
        return lambda: _answered(ask, asked | common | recipe.settings, parts)

    return {
        f"{name}_fuxictr": [training(recipe, decay) for decay in protocol.fuxictr]
        for name, recipe in protocol.recipes.items()
    }


def _lightgbm(
    protocol: Protocol, parts: Sequence[sl.Dataset], ask: Ask, *, seed: int
) -> dict[str, Trainings]:
    def training(settings: dict[str, object]) -> Callable[[], Areas]:
        return lambda: _answered(ask, settings | {"seed": seed}, parts)

    return {"lightgbm": [training(each) for each in protocol.lightgbm]}


def _answered(ask: Ask, asked: dict[str, object], parts: Sequence[sl.Dataset]) -> Areas:
    answer = ask(json.dumps(asked))
    return _areas([torch.tensor(answer[name]) for name in PARTS[1:]], parts)


def _areas(scores: Sequence[torch.Tensor], parts: Sequence[sl.Dataset]) -> Areas:
    labels = (torch.from_numpy(part.labels) for part in parts[1:])
    return Areas(*(auc(each, wanted) for each, wanted in zip(scores, labels, strict=True)))


def train_ours(
    protocol: Protocol, recipe: Recipe, trial: Trial, parts: Sequence[sl.Dataset], *, seed: int
) -> Areas:
    """Train one of our models and measure it.

    Args:
        protocol: the set, and what ours and the peer share.
        recipe: the model.
        trial: how it is trained.
        parts: train, validation and test.
        seed: of the first weights and the order.
    """
    train, validation, _ = parts
    ranker = sl.Ranker(
        protocol.clicks.query,
        protocol.clicks.candidate,
        body=recipe.body,
        dim=protocol.dim,
        embedding_scale=protocol.scale,
        loss="click",
    )
    ranker.fit(
        train,
        epochs=protocol.epochs,
        batch_size=protocol.batch,
        learning_rate=protocol.rate,
        embedding_decay=trial.decay,
        schedule=trial.schedule,
        patience=PATIENCE,
        max_grad_norm=10.0,
        validation=validation,
        monitor="auc",
        seed=seed,
    )
    return _areas([_scores(ranker, part) for part in parts[1:]], parts)


@torch.no_grad()
def _scores(ranker: sl.Ranker, part: sl.Dataset) -> torch.Tensor:
    rows = torch.arange(len(part))
    loader = BatchLoader(part, ranker.fitted_space(), batch_size=4096, rows=rows, shuffle=False)
    return torch.cat([ranker(batch) for batch in loader.epoch(0)])


@contextmanager
def peers_of(protocol: Protocol, parts: Sequence[sl.Dataset]) -> Iterator[tuple[Ask, Ask]]:
    """FuxiCTR and LightGBM, which have read the parts.

    Args:
        protocol: the set.
        parts: train, validation and test.
    """
    clicks = protocol.clicks
    space = FeatureSpace.fit(parts[0], clicks.query, clicks.candidate)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name, part in zip(PARTS, parts, strict=True):
            np.savez(Path(folder) / f"{name}.npz", **clicks.arrays(space, part))
        (Path(folder) / "features.json").write_text(json.dumps(clicks.described(space)), encoding="utf-8")
        yield tuple(
            stack.enter_context(peers.started(peer, f"click_models_{peer}.py", folder))
            for peer in ("fuxictr", "lightgbm")
        )


def _difference(
    name: str, areas: dict[str, list[float]], ours: str, theirs: str, target: float | None
) -> Figure:
    each = [one - other for one, other in zip(areas[ours], areas[theirs], strict=True)]
    return Figure(name, statistics.mean(each), f"AUC {_deviation(each)}", target, spread=_spread(each))


def _deviation(each: Sequence[float]) -> str:
    return f"± {statistics.stdev(each):.5f}" if len(each) > 1 else ""


def _spread(each: Sequence[float]) -> tuple[float, float]:
    return min(each), max(each)
