"""From a configuration and a train part to a trained funnel, in the order that keeps every stage honest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from shortlist.calibration import Calibrator
from shortlist.config.calibrating import apart, calibrate_on_events, calibrate_on_lists
from shortlist.config.config import Config
from shortlist.config.retrievers import Source
from shortlist.data import Dataset
from shortlist.funnel import Funnel, rank
from shortlist.funnel.retrieve import Retriever
from shortlist.models import BoostedRanker, Ranker, Sequential, TwoTower

MONITOR = "ndcg@10"  # what `patience` watches

Step = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class TrainedFunnel:
    """What training gave.

    Args:
        funnel: trained on the whole part.
        epochs: how many epochs the towers were trained for; fewer than asked for where `patience` stopped.
    """

    funnel: Funnel
    epochs: int


def train_funnel(
    config: Config,
    train: Dataset,
    *,
    epochs: int | None = None,
    progress: bool = False,
    step: Step = lambda name: nullcontext(),
) -> TrainedFunnel:
    """Train the retrievers and the ranker of a configuration.

    Where there is `patience`, or a ranker that learns from lists, the part is divided once more. Retrievers
    trained on the earlier part find candidates for the recent one, and the ranker learns from them;
    `patience` counts on the same recent part. At last the retrievers are trained on the whole part.

    A ranker of clicks, ratings or several objectives learns from the labelled events of the whole part. Where
    its scores are to be calibrated, it learns from the earlier part and is calibrated on the recent one; a
    ranker of lists is calibrated on a fifth of the recent events, which it does not learn from.

    Args:
        config: says what to train.
        train: the train part, or all events.
        epochs: of the towers, where an earlier training has decided; `patience` is then not asked.
        progress: whether to show progress bars.
        step: called with what is to be done next; the work runs inside what it returns.

    Returns:
        The funnel, whose histories are those of `train`.

    Raises:
        DataError: the data is too small to be divided, or its labels to be calibrated on.
        TrainingError: a loss is not a number.
    """
    run = _Run(config, progress, step, config.settings.training.epochs if epochs is None else epochs)
    ranking = config.ranking
    decides = epochs is None and config.settings.training.patience is not None and run.has_towers
    parts, towers = None, None
    if decides or (ranking is not None and ranking.needs_recent):
        parts = config.split_again(train)
    if decides and parts is not None:
        towers = run.stopping_early(*parts)
    ranker, calibration = run.ranker(train, parts, towers)
    funnel = config.funnel(run.retrievers(train), ranker, calibration=calibration, data=train)
    return TrainedFunnel(funnel, run.epochs)


@dataclass
class _Run:
    """One training: what stays the same in all its steps, and the epochs that `patience` decides."""

    config: Config
    progress: bool
    step: Step
    epochs: int

    @property
    def has_towers(self) -> bool:
        return any(source.kind == "TwoTower" for source in self.config.sources)

    def options(self) -> dict[str, Any]:
        return self.config.training() | {"epochs": self.epochs, "progress": self.progress}

    def stopping_early(self, earlier: Dataset, recent: Dataset) -> TwoTower:
        """Towers with the weights of their best epoch, whose number is kept."""
        towers = self.config.retriever()
        with self.step("training the two towers until a validation part gets no better"):
            watched = {
                "validation": recent,
                "monitor": MONITOR,
                "patience": self.config.settings.training.patience,
            }
            history = towers.fit(earlier, **self.options() | watched)
        self.epochs = history.best_epoch or self.epochs
        return towers

    def ranker(
        self, train: Dataset, parts: tuple[Dataset, Dataset] | None, towers: TwoTower | None
    ) -> tuple[Ranker | BoostedRanker | None, Calibrator | None]:
        """The trained ranker, and what turns its scores into probabilities."""
        plan, ranker = self.config.ranking, self.config.ranker()
        if plan is None or ranker is None:
            return None, None
        calibration = None if plan.calibration is None else plan.calibration()
        options = {"seed": self.config.settings.training.seed, **plan.training()}
        if isinstance(ranker, Ranker):
            options["progress"] = self.progress
        if plan.learns_from_lists:
            assert parts is not None
            self._fit_on_lists(ranker, calibration, parts, towers, options)
            return ranker, calibration
        assert isinstance(ranker, Ranker)
        earlier, recent = (train, None) if parts is None or calibration is None else parts
        with self.step("training the ranker on labelled events"):
            ranker.fit(earlier, **options)
        if calibration is not None and recent is not None:
            with self.step("calibrating the ranker on recent events"):
                calibrate_on_events(calibration, ranker, recent)
        return ranker, calibration

    def _fit_on_lists(
        self,
        ranker: Ranker | BoostedRanker,
        calibration: Calibrator | None,
        parts: tuple[Dataset, Dataset],
        towers: TwoTower | None,
        options: Mapping[str, Any],
    ) -> None:
        earlier, recent = parts
        found = self.retrievers(earlier, towers, why=" for the ranker to learn from")
        taught, held_out = (recent, None) if calibration is None else apart(recent, seed=options["seed"])
        with self.step("training the ranker on recent events"):
            rank.fit(ranker, found, taught, **options)
        if calibration is not None and held_out is not None:
            with self.step("calibrating the ranker on other recent events"):
                calibrate_on_lists(calibration, ranker, found, held_out)

    def retrievers(self, data: Dataset, towers: TwoTower | None = None, why: str = "") -> list[Retriever]:
        return [self._retriever(source, data, towers, why) for source in self.config.sources]

    def _retriever(self, source: Source, data: Dataset, towers: TwoTower | None, why: str) -> Retriever:
        if source.kind == "Popular":
            return source.popular()
        if source.kind == "Sequential":
            return source.around(self._fit_sequences(source, data, why))
        if source.kind != "TwoTower":
            with self.step(f"training {source.kind}{why}"):
                return source.around(source.baseline().fit(data))
        if towers is None:
            towers = self.config.retriever()
            with self.step(f"training the two towers{why}"):
                towers.fit(data, **self.options())
        return source.around(towers)

    def _fit_sequences(self, source: Source, data: Dataset, why: str) -> Sequential:
        model = source.sequential()
        with self.step(f"training Sequential{why}"):
            seed = self.config.settings.training.seed
            model.fit(data, **asdict(source.training), seed=seed, progress=self.progress)
        return model
