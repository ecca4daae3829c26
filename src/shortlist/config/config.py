"""A checked `shortlist.toml`, and the dataset, models and funnel that it describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from shortlist.config.check import check_features, check_postrankers
from shortlist.config.kinds import make_kind, make_kinds, placed
from shortlist.config.retrievers import Source, make_sources
from shortlist.config.sections import RankerSection, Settings
from shortlist.data import Dataset, EventType, Feature, History, Id, Schema
from shortlist.data.features import FEATURES
from shortlist.datasets import from_files
from shortlist.datasets.files import at_home
from shortlist.errors import ConfigError, SchemaError
from shortlist.funnel import Funnel
from shortlist.funnel.rank import Scored
from shortlist.funnel.retrieve import Retriever
from shortlist.models import Ranker, TwoTower
from shortlist.nn import Tower
from shortlist.nn.bodies import BODIES, Body
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
RANKER_KEYS = ("dim", "embedding_scale", "cross_layers", "hidden", "dropout")
RANKER_TRAINING_KEYS = ("epochs", "batch_size", "learning_rate")
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
        ranker_query: features of the ranker's users.
        ranker_candidate: features of the ranker's items.
        ranker_body: what stands between these and the score; None for the default.
        sources: the retrievers of the funnel.
        postrank: the post-rankers.
    """

    file: Path
    settings: Settings
    schema: Schema
    query: tuple[Feature, ...]
    candidate: tuple[Feature, ...]
    ranker_query: tuple[Feature, ...]
    ranker_candidate: tuple[Feature, ...]
    ranker_body: Body | None
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
        retriever, ranker = settings.retriever, settings.ranker or RankerSection()
        features = {
            name: None if tables is None else make_kinds(FEATURES, tables, where=str(file), table=name)
            for name, tables in {
                "retriever.query": retriever.query,
                "retriever.candidate": retriever.candidate,
                "ranker.query": ranker.query,
                "ranker.candidate": ranker.candidate,
            }.items()
        }
        query = _or(features["retriever.query"], (Id(schema.user_id), History(schema.item_id)))
        candidate = _or(features["retriever.candidate"], (Id(schema.item_id),))
        config = cls(
            file=file,
            settings=settings,
            schema=schema,
            query=query,
            candidate=candidate,
            ranker_query=_or(features["ranker.query"], query),
            ranker_candidate=_or(features["ranker.candidate"], candidate),
            ranker_body=None
            if ranker.body is None
            else make_kind(BODIES, ranker.body, where=f"{file}, [ranker.body]"),
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
        """Look up every column that a feature or a post-ranker reads.

        Raises:
            ConfigError: one is missing; the message names its table in the file.
        """
        where = str(self.file)
        used = {"retriever": (self.query, self.candidate)}
        if self.settings.ranker is not None:
            used["ranker"] = (self.ranker_query, self.ranker_candidate)
        for table, (query, candidate) in used.items():
            check_features(query, data, table=f"{table}.query", candidate=False, where=where)
            check_features(candidate, data, table=f"{table}.candidate", candidate=True, where=where)
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
        always = {"epochs": section.epochs, "batch_size": section.batch_size, "seed": section.seed}
        return always | section.given(*TRAINING_KEYS)

    def ranker(self) -> Ranker | None:
        """The model of `[ranker]`, untrained, with the scores of all retrievers; None without that table."""
        section = self.settings.ranker
        if section is None:
            return None
        scores = [f"score_{source.name}" for source in self.sources]
        try:
            return Ranker(
                self.ranker_query,
                self.ranker_candidate,
                scores=scores,
                body=self.ranker_body,
                **section.given(*RANKER_KEYS),
            )
        except ConfigError as error:
            raise placed(error, f"{self.file}, [ranker]") from error

    def ranker_training(self) -> dict[str, Any]:
        """The arguments of `shortlist.rank.fit` that `[ranker]` gives."""
        section = self.settings.ranker
        given = {} if section is None else section.given(*RANKER_TRAINING_KEYS)
        return {"seed": self.settings.training.seed} | given

    def funnel(
        self, retrievers: Sequence[Retriever], ranker: Ranker | None, *, data: Dataset | None = None
    ) -> Funnel:
        """Put trained models together as `[funnel]` and `[[postrank]]` say.

        Args:
            retrievers: trained.
            ranker: trained, or None.
            data: the events of histories and seen items; by default those of the first retriever.
        """
        section = self.settings.funnel
        return Funnel(
            retrieve=retrievers,
            rank=None if ranker is None else Scored(ranker, **section.given("keep")),
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


def _or(given: tuple[Feature, ...] | None, default: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """The default only where the file says nothing: an empty list means none."""
    return default if given is None else given
