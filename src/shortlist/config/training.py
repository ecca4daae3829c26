"""From a configuration and a train part to a trained funnel, in the order that keeps every stage honest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from shortlist.config.config import Config
from shortlist.config.retrievers import Source
from shortlist.data import Dataset
from shortlist.funnel import Funnel, rank
from shortlist.funnel.retrieve import Retriever
from shortlist.models import Ranker, Sequential, TwoTower

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

    Where there is a ranker or `patience`, the part is divided once more. Retrievers trained on the earlier
    part find candidates for the recent one, and the ranker learns from them; `patience` counts on the same
    recent part. At last the retrievers are trained on the whole part.

    Args:
        config: says what to train.
        train: the train part, or all events.
        epochs: of the towers, where an earlier training has decided; `patience` is then not asked.
        progress: whether to show progress bars.
        step: called with what is to be done next; the work runs inside what it returns.

    Returns:
        The funnel, whose histories are those of `train`.

    Raises:
        DataError: the data is too small to be divided.
        TrainingError: a loss is not a number.
    """
    run = _Run(config, progress, step, config.settings.training.epochs if epochs is None else epochs)
    ranker = config.ranker()
    decides = epochs is None and config.settings.training.patience is not None and run.has_towers
    if ranker is not None or decides:
        earlier, recent = config.split_again(train)
        towers = run.stopping_early(earlier, recent) if decides else None
        if ranker is not None:
            run.fit_ranker(ranker, earlier, recent, towers)
    with_all = run.retrievers(train)
    return TrainedFunnel(config.funnel(with_all, ranker, data=train), run.epochs)


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
            history = towers.fit(
                earlier,
                **self.options(),
                validation=recent,
                monitor=MONITOR,
                patience=self.config.settings.training.patience,
            )
        self.epochs = history.best_epoch or self.epochs
        return towers

    def fit_ranker(self, ranker: Ranker, earlier: Dataset, recent: Dataset, towers: TwoTower | None) -> None:
        found = self.retrievers(earlier, towers, why=" for the ranker to learn from")
        with self.step("training the ranker on recent events"):
            rank.fit(ranker, found, recent, progress=self.progress, **self.config.ranker_training())

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
