"""A checked `shortlist.toml`, and the dataset, models and funnel that it describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from shortlist.calibration import Calibrator
from shortlist.config.check import check_features, check_postrankers, check_ranking
from shortlist.config.kinds import make_kinds, placed
from shortlist.config.rankers import RankerPlan, make_ranking
from shortlist.config.retrievers import Source, make_sources
from shortlist.config.sections import Settings
from shortlist.data import Dataset, EventType, Feature, History, Id, Schema
from shortlist.data.features import FEATURES
from shortlist.datasets import from_files
from shortlist.datasets.files import at_home
from shortlist.errors import ConfigError, SchemaError
from shortlist.funnel import Funnel
from shortlist.funnel.rank import Scored
from shortlist.funnel.retrieve import Retriever
from shortlist.models import BoostedRanker, Ranker, TwoTower
from shortlist.nn import Tower
from shortlist.postrank import Boost, Cap, Diversity, Exclude, Explore, Freshness, PostRanker
from shortlist.tasks import Retrieval

POSTRANKERS: tuple[type[PostRanker], ...] = (Boost, Cap, Diversity, Exclude, Explore, Freshness)
SCHEMA_KEYS = ("user_id", "item_id", "timestamp", "label", "event")
TOWER_KEYS = ("dim", "hidden", "dropout", "normalise")
TASK_KEYS = (
    "temperature",
    "correct_sampling_bias",
    "remove_accidental_hits",
    "num_hard_negatives",
    "negatives",
    "num_negatives",
    "queue_size",
    "objective",
    "calibration",
    "precision",
)
TRAINING_KEYS = ("learning_rate", "schedule", "warmup_steps", "max_grad_norm", "precision")
RANKER_EVENTS = (
    3  # a user's latest events that a ranker learns from, where each user's last ones are held out
)


@dataclass(frozen=True)
class Config:
    """A whole configuration, all of its parts made once and so known to be right.

    Args:
        file: the TOML file.
        settings: its tables.
        schema: the columns of `[data]`.
        query: features of the retriever's query tower.
        candidate: features of its candidate tower.
        ranking: the ranker, not made yet; None without one.
        sources: the retrievers of the funnel.
        postrank: the post-rankers.
    """

    file: Path
    settings: Settings
    schema: Schema
    query: tuple[Feature, ...]
    candidate: tuple[Feature, ...]
    ranking: RankerPlan | None
    sources: tuple[Source, ...]
    postrank: tuple[PostRanker, ...]

    @classmethod
    def of(cls, settings: Settings, file: Path) -> Self:
        """Make the parts of a configuration.

        Args:
            settings: the tables of the file.
            file: for errors, and what paths are relative to.

        Raises:
            ConfigError: a part refuses its arguments; the message names the table.
        """
        schema = _schema(settings, where=f"{file}, [data]")
        query = _features(settings, "query", (Id(schema.user_id), History(schema.item_id)), file)
        candidate = _features(settings, "candidate", (Id(schema.item_id),), file)
        config = cls(
            file=file,
            settings=settings,
            schema=schema,
            query=query,
            candidate=candidate,
            ranking=make_ranking(settings, query=query, candidate=candidate, where=str(file)),
            sources=make_sources(
                settings.funnel.retrieve, with_ranker=settings.ranker is not None, where=str(file)
            ),
            postrank=make_kinds(POSTRANKERS, settings.postrank, where=str(file), table="postrank"),
        )
        config.retriever()
        config.ranker()
        return config

    @property
    def bundle(self) -> Path:
        """The folder of the bundle."""
        return self.file.parent / self.settings.bundle.path

    def dataset(self, *, strict: bool = False) -> Dataset:
        """Read and clean the tables.

        Args:
            strict: refuse tables with bad rows instead of dropping and counting them.

        Raises:
            ConfigError: a column that the file names is nowhere or of the wrong kind; a path cannot be one.
            DataError: a table cannot be read, or `strict` and a row is bad.
        """
        section = self.settings.data
        try:
            data = from_files(
                self._paths(section.interactions),
                users=None if section.users is None else self._paths(section.users),
                items=None if section.items is None else self._paths(section.items),
                schema=self.schema,
                strict=strict,
            )
        except SchemaError as error:
            raise ConfigError(
                error.what, where=f"{error.where}, {self._key_of(error)}", remedy=error.remedy
            ) from error
        self.check_columns(data)
        return data

    def check_columns(self, data: Dataset) -> None:
        """Look up every column that a feature, an objective or a post-ranker reads.

        Raises:
            ConfigError: one is missing; the message names its table in the file.
        """
        where = str(self.file)
        used = {"retriever": (self.query, self.candidate)}
        if self.ranking is not None:
            used["ranker"] = (self.ranking.query, self.ranking.candidate)
        for table, (query, candidate) in used.items():
            check_features(query, data, table=f"{table}.query", candidate=False, where=where)
            check_features(candidate, data, table=f"{table}.candidate", candidate=True, where=where)
        if self.ranking is not None:
            check_ranking(self.ranking, data)
        check_postrankers(self.postrank, data, where=where)

    def split(self, data: Dataset) -> tuple[Dataset, Dataset]:
        """Hold out what `[split]` says.

        Args:
            data: all events.

        Returns:
            Train and test parts.
        """
        return self._split(data, self.settings.split.count)

    def split_again(self, train: Dataset) -> tuple[Dataset, Dataset]:
        """Divide a train part once more, in the same way: what `patience` and the ranker learn from.

        Args:
            train: the train part, or all events where the models are trained on all of them.

        Returns:
            The earlier and the recent part; where each user's last events are held out, a few more of them.
        """
        return self._split(train, max(RANKER_EVENTS, self.settings.split.count))

    def _split(self, data: Dataset, count: int) -> tuple[Dataset, Dataset]:
        section = self.settings.split
        match section.by or ("random" if self.schema.timestamp is None else "time"):
            case "leave_last_out":
                return data.split_leave_last_out(count)
            case "random":
                return data.split_random(section.test, seed=section.seed)
            case _:
                return data.split_by_time(section.test)

    def retriever(self) -> TwoTower:
        """The model of `[retriever]`, untrained."""
        section, where = self.settings.retriever, f"{self.file}, [retriever]"
        try:
            towers = [Tower(each, **section.given(*TOWER_KEYS)) for each in (self.query, self.candidate)]
            task = Retrieval(**section.given(*TASK_KEYS))
            return TwoTower(towers[0], towers[1], task=task, **section.given("mask_seen"))
        except ConfigError as error:
            raise placed(error, where) from error

    def training(self) -> dict[str, Any]:
        """The arguments of `TwoTower.fit` that `[training]` gives, all but `patience`."""
        section = self.settings.training
        always: dict[str, Any] = {
            "epochs": section.epochs,
            "batch_size": section.batch_size,
            "seed": section.seed,
        }
        if section.schedule == "plateau":
            always["monitor"] = "loss"  # where no validation part says which epochs are better
        return always | section.given(*TRAINING_KEYS)

    def ranker(self) -> Ranker | BoostedRanker | None:
        """The model of `[ranker]`, untrained; None without that table."""
        return None if self.ranking is None else self.ranking.make([source.name for source in self.sources])

    def funnel(
        self,
        retrievers: Sequence[Retriever],
        ranker: Ranker | BoostedRanker | None,
        *,
        calibration: Calibrator | None = None,
        data: Dataset | None = None,
    ) -> Funnel:
        """Put trained models together as `[funnel]` and `[[postrank]]` say.

        Args:
            retrievers: trained.
            ranker: trained, or None.
            calibration: of the ranker's scores, fitted, or None.
            data: the events of histories and seen items; by default those of the first retriever.
        """
        section = self.settings.funnel
        rank = None if ranker is None else Scored(ranker, calibration=calibration, **section.given("keep"))
        return Funnel(
            retrieve=retrievers,
            rank=rank,
            postrank=self.postrank,
            size=section.size,
            data=data,
            seed=self.settings.training.seed,
        )

    def _paths(self, given: str | list[str]) -> list[Path]:
        paths = [given] if isinstance(given, str) else given
        return [self.file.parent / at_home(Path(each)) for each in paths]

    def _key_of(self, error: SchemaError) -> str:
        """The key of `[data]` whose column an error is about."""
        for key in SCHEMA_KEYS:
            column = getattr(self.schema, key)
            if column is not None and repr(column) in f"{error.what} {error.where}":
                return f"{key} = {column!r} in [data] of {self.file}"
        return f"[data] of {self.file}"


def _schema(settings: Settings, *, where: str) -> Schema:
    section = settings.data
    events = {name: EventType(**each.model_dump()) for name, each in section.events.items()}
    try:
        return Schema(**{key: getattr(section, key) for key in SCHEMA_KEYS}, events=events)
    except ConfigError as error:
        raise placed(error, where) from error


def _features(settings: Settings, side: str, default: tuple[Feature, ...], file: Path) -> tuple[Feature, ...]:
    """The retriever's features; the default only where the file says nothing: an empty list means none."""
    tables = getattr(settings.retriever, side)
    if tables is None:
        return default
    return make_kinds(FEATURES, tables, where=str(file), table=f"retriever.{side}")
