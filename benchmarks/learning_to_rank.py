"""MQ2008's five folds and LightGBM's own example: small neural rankers beside LightGBM's lambdarank.

Both sides get the features and their places within each list, and the same number of trials; ours is the
mean of a few nets. In each fold the trial that does best on the validation part is chosen, by the sum of
NDCG@1, 5 and 10; its three seeds then meet the test part. The example has no validation part. Five folds of
its training lists choose our trial and the number of epochs, and our nets then learn from all of them; theirs
are five rankers, each of which stops early on a fold, and their mean. A figure is the mean over the
queries with a relevant document, as everywhere for this data.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks import peers
from benchmarks.harness import Figure
from shortlist import losses
from shortlist.data import Ragged
from shortlist.datasets import RankingTable, RankingTableLoader, read_libsvm
from shortlist.metrics import ScoredLists
from shortlist.models import ListRanker
from shortlist.nn import EnsembleScorer, UnivariateScorer
from shortlist.tasks import ListwiseRanking
from shortlist.training import TrainingHistory, fit

KS = (1, 5, 10)
TARGETS = {1: 0.52, 5: 0.635, 10: 0.70}
EXAMPLE_TARGET = 0.6211
# The parts that train, validate and test, as MQ2008 gives them.
FOLDS = (((1, 2, 3), 4, 5), ((2, 3, 4), 5, 1), ((3, 4, 5), 1, 2), ((4, 5, 1), 2, 3), ((5, 1, 2), 3, 4))
SEEDS = (0, 1, 2)
EPOCHS, PATIENCE, BATCH = 60, 12, 32

LOSSES: dict[str, Callable[..., losses.ListLosses]] = {
    "LambdaLoss": partial(losses.pairwise_logistic, lambda_weight=losses.DCGWeight()),
    "XE-NDCG": losses.xe_ndcg,
}
OURS = [
    {"loss": loss, "hidden": (64, 32), "dropout": dropout, "learning_rate": rate, "members": 5}
    for loss, dropout, rate in product(LOSSES, (0.3, 0.4, 0.5), (1e-3, 2e-3))
]
LIGHTGBM = [
    {"relative": relative, "num_leaves": leaves, "learning_rate": rate, "min_data_in_leaf": least}
    for relative, (leaves, rate), least in product(
        (False, True), ((7, 0.05), (15, 0.05), (31, 0.02)), (20, 50)
    )
]
# The example has more features than documents of a list can vouch for, so little of each is learned.
EXAMPLE_FOLDS, EXAMPLE_BATCH = 5, 16
RARE = 0.01  # of the documents: what fewer of them have, or lack, is left out
OURS_EXAMPLE = [
    {
        "loss": loss,
        "hidden": (32,),
        "dropout": 0.5,
        "input_dropout": 0.6,
        "learning_rate": 5e-4,
        "members": 8,
        "epochs": 12,
    }
    for loss in LOSSES
]
LIGHTGBM_EXAMPLE = [
    trial for trial in LIGHTGBM if trial["min_data_in_leaf"] == 50 and trial["num_leaves"] < 31
]

# From a trial and a seed to the scores of the validation and of the test part.
Scorer = Callable[[dict[str, Any], int], tuple[Tensor, Tensor]]


class Fold(NamedTuple):
    """A fold's parts, with the features' places within their lists."""

    train: RankingTable
    validation: RankingTable
    test: RankingTable


def run(*, quick: bool) -> list[Figure]:
    """Ours and LightGBM, fold by fold; `quick` takes the first fold, three trials and one seed."""
    torch.set_num_threads(1)
    folds, seeds = (FOLDS[:1], SEEDS[:1]) if quick else (FOLDS, SEEDS)
    tables = {part: _read(f"MQ2008-S{part}.txt", 46) for part in range(1, 6)}
    found: dict[str, list[list[dict[int, float]]]] = {"ours": [], "lightgbm": []}
    for train, validation, test in folds:
        fold = Fold(
            RankingTable.concatenate([tables[part] for part in train]), tables[validation], tables[test]
        )
        found["ours"].append(_best([fold], [partial(_ours, fold)], OURS[:3] if quick else OURS, seeds))
        with _lightgbm(fold) as scorer:
            found["lightgbm"].append(_best([fold], [scorer], LIGHTGBM[:3] if quick else LIGHTGBM, seeds))
    figures = []
    for who, by_fold in found.items():
        for k in KS:
            # The mean over the folds of each seed.
            each = [statistics.mean(fold[seed][k] for fold in by_fold) for seed in range(len(seeds))]
            name = f"mq2008_ndcg{k}" if who == "ours" else f"mq2008_{who}_ndcg{k}"
            target = TARGETS[k] if who == "ours" and not quick else None
            figures.append(Figure(name, statistics.mean(each), "", target, spread=(min(each), max(each))))
    values = {figure.name: figure.value for figure in figures}
    margin = values["mq2008_ndcg10"] - values["mq2008_lightgbm_ndcg10"]
    figures.append(Figure("mq2008_minus_lightgbm", margin, "NDCG@10", None if quick else 0.0))
    return figures + _example(seeds, quick)


def _example(seeds: Sequence[int], quick: bool) -> list[Figure]:
    """LightGBM's own example: 201 lists to learn from and 50 to test on."""
    train, test = (_read(f"lightgbm-rank.{part}", 300) for part in ("train", "test"))
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    fifths = [order[part::EXAMPLE_FOLDS] for part in range(EXAMPLE_FOLDS)]
    folds = [
        Fold(train.take(torch.cat([*fifths[:part], *fifths[part + 1 :]])), train.take(fifths[part]), test)
        for part in range(EXAMPLE_FOLDS)
    ]
    found = {"ours": _our_example(Fold(train, train, test), folds, seeds, quick)}
    with ExitStack() as stack:
        trees = [stack.enter_context(_lightgbm(fold)) for fold in folds]
        trials = LIGHTGBM_EXAMPLE[:1] if quick else LIGHTGBM_EXAMPLE
        found["lightgbm"] = _best(folds, trees, trials, seeds)
    figures = []
    for who, by_seed in found.items():
        each = [metrics[1] for metrics in by_seed]
        name = "example_ndcg1" if who == "ours" else f"example_{who}_ndcg1"
        target = EXAMPLE_TARGET if who == "ours" and not quick else None
        figures.append(Figure(name, statistics.mean(each), "", target, spread=(min(each), max(each))))
    return figures


def _our_example(
    whole: Fold, folds: Sequence[Fold], seeds: Sequence[int], quick: bool
) -> list[dict[int, float]]:
    """The test NDCGs, seed by seed, of a ranker that learns from all training lists.

    The trial and the number of epochs are those that do best on the folds, in the mean.
    """
    whole, folds = _filled(whole), [_filled(fold) for fold in folds]
    trials = [OURS_EXAMPLE[0] | {"members": 2, "epochs": 3}] if quick else OURS_EXAMPLE
    curves = {
        number: np.mean([_validated(fold, trial, seeds[0]) for fold in folds], axis=0)
        for number, trial in enumerate(trials)
    }
    number = max(curves, key=lambda each: float(curves[each].max()))
    chosen = trials[number] | {"epochs": int(curves[number].argmax()) + 1}
    scores = [
        _net(whole, chosen, seed, batch_size=EXAMPLE_BATCH)[0].score(whole.test).values for seed in seeds
    ]
    return [_ndcgs(each, whole.test) for each in scores]


def _validated(fold: Fold, trial: dict[str, Any], seed: int) -> list[float]:
    """The sum of the NDCGs on the validation part after each epoch."""
    _, history = _net(fold, trial, seed, batch_size=EXAMPLE_BATCH)
    return [row["ndcg"] for row in history.epochs]


def _filled(fold: Fold) -> Fold:
    """A fold in which what the sparse file leaves out is no 0.

    Its column's mean in the train part stands in its place, and another column says which were given. Columns
    that hardly any document of the train part has, or lacks, are left out.
    """
    width = fold.train.features.shape[1] // 3
    given = fold.train.features[:, :width] != 0
    share = given.float().mean(dim=0)
    means = fold.train.features[:, :width].sum(dim=0) / given.sum(dim=0).clamp(min=1)
    some = (share > RARE) & (share < 1 - RARE)

    def fill(table: RankingTable) -> RankingTable:
        raw, relative = table.features[:, :width], table.features[:, width:]
        columns = [torch.where(raw != 0, raw, means)[:, share > RARE], (raw != 0).float()[:, some]]
        kept = (share > RARE).repeat(2)
        return replace(table, features=torch.cat([*columns, relative[:, kept]], dim=1), columns=())

    return Fold(*map(fill, fold))


def _read(name: str, num_features: int) -> RankingTable:
    folder = Path(os.environ.get("SHORTLIST_DATA", "../shared/data")) / "letor"
    return read_libsvm(folder / f"{name}.gz", num_features=num_features).with_relative_features()


def _best(
    folds: Sequence[Fold],
    scorers: Sequence[Scorer],
    trials: Sequence[dict[str, Any]],
    seeds: Sequence[int],
) -> list[dict[int, float]]:
    """The test NDCGs, seed by seed, of the trial that did best on the validation parts.

    Several folds have one test part, which the mean of their scores then orders.
    """

    def validated(trial: dict[str, Any]) -> float:
        return sum(
            sum(_ndcgs(scorer(trial, seeds[0])[0], fold.validation).values())
            for fold, scorer in zip(folds, scorers, strict=True)
        )

    chosen = max(trials, key=validated)
    return [
        _ndcgs(torch.stack([scorer(chosen, seed)[1] for scorer in scorers]).mean(0), folds[0].test)
        for seed in seeds
    ]


def _ndcgs(scores: Tensor, table: RankingTable) -> dict[int, float]:
    lists = ScoredLists(Ragged(scores, table.offsets), table.labels)
    return {k: float(lists.ndcg(k=k).nanmean()) for k in KS}


def _ours(fold: Fold, trial: dict[str, Any], seed: int) -> tuple[Tensor, Tensor]:
    """The scores of nets with the weights of their best epoch."""
    ranker, _ = _net(fold, trial | {"epochs": EPOCHS}, seed, patience=PATIENCE, restore_best=True)
    return ranker.score(fold.validation).values, ranker.score(fold.test).values


def _net(
    fold: Fold, trial: dict[str, Any], seed: int, *, batch_size: int = BATCH, **options: Any
) -> tuple[ListRanker, TrainingHistory]:
    torch.manual_seed(seed)
    width = fold.train.features.shape[1]
    layers = {name: trial[name] for name in ("hidden", "dropout", "input_dropout") if name in trial}
    members = [UnivariateScorer(width, **layers) for _ in range(trial["members"])]
    ranker = ListRanker(EnsembleScorer(members), task=ListwiseRanking(loss=LOSSES[trial["loss"]]))
    history = fit(
        ranker,
        RankingTableLoader(fold.train, batch_size=batch_size, seed=seed),
        optimizer=torch.optim.AdamW(ranker.parameters(), lr=trial["learning_rate"], weight_decay=1e-4),
        learning_rate=None,
        epochs=trial["epochs"],
        validate=lambda: {
            "ndcg": sum(_ndcgs(ranker.score(fold.validation).values, fold.validation).values())
        },
        monitor="ndcg",
        mode="max",
        seed=seed,
        progress=False,
        **options,
    )
    return ranker, history


@contextmanager
def _lightgbm(fold: Fold) -> Iterator[Scorer]:
    """LightGBM in its own process, which has read the fold."""
    with tempfile.TemporaryDirectory() as folder:
        for name, table in fold._asdict().items():
            np.savez(
                Path(folder) / f"{name}.npz",
                features=table.features.numpy(),
                labels=table.labels.numpy(),
                sizes=table.offsets.diff().numpy(),
            )
        command = [peers.python("lightgbm"), Path(__file__).with_name("learning_to_rank_lightgbm.py"), folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None

            def scores(trial: dict[str, Any], seed: int) -> tuple[Tensor, Tensor]:
                print(json.dumps(trial | {"seed": seed}), file=process.stdin, flush=True)
                answer = json.loads(process.stdout.readline())
                return torch.tensor(answer["validation"]), torch.tensor(answer["test"])

            yield scores
            process.stdin.close()
