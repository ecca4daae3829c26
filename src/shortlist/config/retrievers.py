"""`[[funnel.retrieve]]`: which models find candidates, and how many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from shortlist.config.kinds import make
from shortlist.config.problems import table_name
from shortlist.errors import ConfigError, did_you_mean
from shortlist.funnel.retrieve import Nearest, Popular
from shortlist.models import ALS, EASE, ItemKNN, Recommender, Sequential

BASELINES: dict[str, type[ALS] | type[EASE] | type[ItemKNN]] = {
    cls.__name__: cls for cls in (ALS, EASE, ItemKNN)
}
KINDS = ("TwoTower", "Sequential", *BASELINES, "Popular")
TRAINING_KEYS = ("epochs", "batch_size", "learning_rate")
NEAREST_KEYS = ("k", "name", "recall")


@dataclass(frozen=True)
class NearestOptions:
    """What `Nearest` takes besides the model.

    Args:
        k: how many candidates.
        name: what the retriever is called; the model's class by default.
        recall: the share of the exact candidates that an approximate index should find; 1 searches exactly.
    """

    k: Annotated[int, Field(ge=1)] = 1000
    name: str = ""
    recall: Annotated[float, Field(gt=0, le=1)] = 0.95


@dataclass(frozen=True)
class SequentialTraining:
    """What `Sequential.fit` takes, beside the arguments of the class; `[training]` is of the two towers.

    Args:
        epochs: how often to go through the histories.
        batch_size: histories, or windows of long ones, a step.
        learning_rate: of Adam.

    Raises:
        ConfigError: a number is not positive.
    """

    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        for name in TRAINING_KEYS:
            if not getattr(self, name) > 0:
                raise ConfigError(
                    f"{name} must be positive, got {getattr(self, name)}",
                    remedy="leave it out for the default",
                )


@dataclass(frozen=True)
class Source:
    """One retriever of the funnel, not made yet.

    Args:
        kind: `"TwoTower"` (that of `[retriever]`), `"Sequential"`, the name of a baseline's class, or
            `"Popular"`.
        nearest: how many candidates, and the name; not for `"Popular"`.
        arguments: of the class.
        training: of a `Sequential`.
    """

    kind: str
    nearest: NearestOptions = NearestOptions()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    training: SequentialTraining = SequentialTraining()

    @property
    def name(self) -> str:
        """What the retriever is called."""
        return self.popular().name if self.kind == "Popular" else self.nearest.name or self.kind.lower()

    def popular(self) -> Popular:
        """The retriever of the most popular items."""
        return Popular(**self.arguments)

    def sequential(self) -> Sequential:
        """The untrained model of sequences."""
        return Sequential(**self.arguments)

    def baseline(self) -> ALS | EASE | ItemKNN:
        """The untrained baseline."""
        return BASELINES[self.kind](**self.arguments)

    def around(self, model: Recommender) -> Nearest:
        """The retriever that asks a trained model."""
        return Nearest(model, self.nearest.k, self.name, self.nearest.recall)


def make_sources(
    tables: Sequence[Mapping[str, Any]] | None, *, with_ranker: bool, where: str
) -> tuple[Source, ...]:
    """Check the tables of `[[funnel.retrieve]]`.

    Args:
        tables: as the file gives them; by default the towers and, where there is a ranker, what is popular.
        with_ranker: whether there is a ranker.
        where: the file.

    Raises:
        ConfigError: a kind or an argument is unknown or refused, or two retrievers have one name.
    """
    if tables is None:
        return (Source("TwoTower"), Source("Popular")) if with_ranker else (Source("TwoTower"),)
    sources = [
        _source(given, f"{where}, {table_name(['funnel', 'retrieve', number])}")
        for number, given in enumerate(tables)
    ]
    if not sources:
        raise ConfigError("'retrieve' is empty", where=f"{where}, [funnel]", remedy="name a retriever")
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"two retrievers are named {name!r}",
                where=f"{where}, [[funnel.retrieve]]",
                remedy='give one of them another: name = "…"',
            )
    return tuple(sources)


def _source(given: Mapping[str, Any], place: str) -> Source:
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        what = "'kind' is missing" if kind is None else f"kind {kind!r} is unknown"
        raise ConfigError(what, where=place, remedy=did_you_mean(str(kind), KINDS))
    place = f"{place}, kind = {kind!r}"
    rest = {name: value for name, value in given.items() if name != "kind"}
    if kind == "Popular":
        make(Popular, rest, where=place)
        return Source(kind, arguments=rest)
    options: dict[str, Any] = {name: rest.pop(name) for name in NEAREST_KEYS if name in rest}
    nearest = make(NearestOptions, options, where=place)
    if kind == "Sequential":
        training: dict[str, Any] = {name: rest.pop(name) for name in TRAINING_KEYS if name in rest}
        made = make(SequentialTraining, training, where=place)
        make(Sequential, rest, where=place)
        return Source(kind, nearest, rest, made)
    if kind in BASELINES:
        make(BASELINES[kind], rest, where=place)
    elif rest:
        unknown = next(iter(rest))
        remedy = did_you_mean(unknown, ("kind", *NEAREST_KEYS))
        raise ConfigError(
            f"unknown key {unknown!r}", where=place, remedy=f"{remedy}; the rest is in [retriever]"
        )
    return Source(kind, nearest, rest)
