"""MQ2008's five folds: a small neural ranker of ours beside LightGBM's lambdarank.

Both get the features and their places within each list, and the same number of trials. In each fold the trial
that does best on the validation part is chosen, by the sum of NDCG@1, 5 and 10; its three seeds then meet the
test part. A figure is the mean over the queries with a relevant document, as everywhere for this data.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import peers
from benchmarks.harness import Figure
from shortlist import losses
from shortlist.data import Ragged
from shortlist.data.feature_space import Batch
from shortlist.datasets import RankingTable, RankingTableLoader, read_libsvm
from shortlist.metrics import ScoredLists
from shortlist.tasks import ListwiseRanking
from shortlist.training import fit

KS = (1, 5, 10)
TARGETS = {1: 0.52, 5: 0.635, 10: 0.70}
# The parts that train, validate and test, as MQ2008 gives them.
FOLDS = (((1, 2, 3), 4, 5), ((2, 3, 4), 5, 1), ((3, 4, 5), 1, 2), ((4, 5, 1), 2, 3), ((5, 1, 2), 3, 4))
SEEDS = (0, 1, 2)
EPOCHS, PATIENCE, BATCH = 60, 12, 32

LOSSES: dict[str, Callable[..., losses.ListLosses]] = {
    "LambdaLoss": partial(losses.pairwise_logistic, lambda_weight=losses.DCGWeight()),
    "XE-NDCG": losses.xe_ndcg,
}
OURS = [
    {"loss": loss, "hidden": (64, 32), "dropout": dropout, "learning_rate": rate}
    for loss, dropout, rate in product(LOSSES, (0.3, 0.4, 0.5), (1e-3, 2e-3))
]
LIGHTGBM = [
    {"relative": relative, "num_leaves": leaves, "learning_rate": rate, "min_data_in_leaf": least}
    for relative, (leaves, rate), least in product(
        (False, True), ((7, 0.05), (15, 0.05), (31, 0.02)), (20, 50)
    )
]

# From a trial and a seed to the scores of the validation and of the test part.
Scorer = Callable[[dict[str, Any], int], tuple[Tensor, Tensor]]


class Fold(NamedTuple):
    """A fold's parts, with the features' places within their lists."""

    train: RankingTable
    validation: RankingTable
    test: RankingTable


class Ranker(nn.Module):
    """Scores each document by itself."""

    def __init__(self, width: int, trial: dict[str, Any]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.BatchNorm1d(width)]
        for hidden in trial["hidden"]:
            layers += [nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(trial["dropout"])]
            width = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))
        self.task = ListwiseRanking(loss=LOSSES[trial["loss"]])

    def forward(self, batch: Batch) -> Ragged:
        """The scores of all lists."""
        features = batch["features"]
        assert isinstance(features, Ragged)
        return Ragged(self.layers(features.values).squeeze(1), features.offsets)

    def compute_loss(self, batch: Batch) -> Tensor:
        """The loss of a batch of lists."""
        labels = batch["label"]
        assert isinstance(labels, Tensor)
        return self.task(self(batch), labels)  # type: ignore[no-any-return]

    def score(self, table: RankingTable) -> Tensor:
        """The scores of a whole table."""
        with torch.no_grad():
            return self.eval()(table.batch()).values  # type: ignore[no-any-return]


def run(*, quick: bool) -> list[Figure]:
    """Ours and LightGBM, fold by fold; `quick` takes the first fold, three trials and one seed."""
    torch.set_num_threads(1)
    folds, seeds = (FOLDS[:1], SEEDS[:1]) if quick else (FOLDS, SEEDS)
    tables = {part: _read(part) for part in range(1, 6)}
    found: dict[str, list[list[dict[int, float]]]] = {"ours": [], "lightgbm": []}
    for train, validation, test in folds:
        fold = Fold(
            RankingTable.concatenate([tables[part] for part in train]), tables[validation], tables[test]
        )
        found["ours"].append(_best(partial(_ours, fold), fold, OURS[:3] if quick else OURS, seeds))
        with _lightgbm(fold) as scorer:
            found["lightgbm"].append(_best(scorer, fold, LIGHTGBM[:3] if quick else LIGHTGBM, seeds))
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
    return [*figures, Figure("mq2008_minus_lightgbm", margin, "NDCG@10", None if quick else 0.0)]


def _read(part: int) -> RankingTable:
    folder = Path(os.environ.get("SHORTLIST_DATA", "../shared/data")) / "letor"
    return read_libsvm(folder / f"MQ2008-S{part}.txt.gz", num_features=46).with_relative_features()


def _best(
    scorer: Scorer, fold: Fold, trials: Sequence[dict[str, Any]], seeds: Sequence[int]
) -> list[dict[int, float]]:
    """The test NDCGs, seed by seed, of the trial that did best on the validation part."""

    def validated(trial: dict[str, Any]) -> float:
        return sum(_ndcgs(scorer(trial, seeds[0])[0], fold.validation).values())

    chosen = max(trials, key=validated)
    return [_ndcgs(scorer(chosen, seed)[1], fold.test) for seed in seeds]


def _ndcgs(scores: Tensor, table: RankingTable) -> dict[int, float]:
    lists = ScoredLists(Ragged(scores, table.offsets), table.labels)
    return {k: float(lists.ndcg(k=k).nanmean()) for k in KS}


def _ours(fold: Fold, trial: dict[str, Any], seed: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    ranker = Ranker(fold.train.features.shape[1], trial)
    fit(
        ranker,
        RankingTableLoader(fold.train, batch_size=BATCH, seed=seed),
        optimizer=torch.optim.AdamW(ranker.parameters(), lr=trial["learning_rate"], weight_decay=1e-4),
        learning_rate=None,
        epochs=EPOCHS,
        validate=lambda: {"ndcg": sum(_ndcgs(ranker.score(fold.validation), fold.validation).values())},
        monitor="ndcg",
        mode="max",
        patience=PATIENCE,
        restore_best=True,
        seed=seed,
        progress=False,
    )
    return ranker.score(fold.validation), ranker.score(fold.test)


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
