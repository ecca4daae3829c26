"""What a column means to a model: the eight kinds of feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from shortlist.errors import ConfigError, did_you_mean

POOLINGS = ("mean", "attention", "target")


@dataclass(frozen=True)
class Feature:
    """Base of all features: a column and the name that its values have in a batch.

    Args:
        column: name of the column in the users, the items or the interactions.
        name: key in the batch; the column's name by default.
    """

    column: str
    name: str = ""
    suffix: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if not self.column:
            raise ConfigError("a feature needs the name of a column", remedy='such as sl.Id("item_id")')
        if not self.name:
            object.__setattr__(self, "name", self.column + self.suffix)

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {"kind": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class Id(Feature):
    """A user's or an item's id, with an embedding row for each id that was seen in training.

    Args:
        column: the schema's user or item id column.
        name: key in the batch.
        dim: width of the embedding; the tower's width by default.
    """

    dim: int | None = None


@dataclass(frozen=True)
class Category(Feature):
    """A column with few or many distinct values.

    Args:
        column: a column of strings, integers or booleans.
        name: key in the batch.
        buckets: hash into that many rows; None keeps a vocabulary of the values seen in training.
        dim: width of the embedding; the tower's width by default.
    """

    buckets: int | None = None
    dim: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive(self, "buckets", self.buckets)


@dataclass(frozen=True)
class Number(Feature):
    """A numeric column, standardised or cut into buckets learned from its quantiles.

    Args:
        column: a numeric column; missing values are allowed and flagged.
        name: key in the batch.
        buckets: number of quantile buckets, each with an embedding; None standardises.
        dim: width of the buckets' embedding; the tower's width by default.
    """

    buckets: int | None = None
    dim: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive(self, "buckets", self.buckets)


@dataclass(frozen=True)
class Timestamp(Feature):
    """A moment, as cyclic parts (hour of the day, day of the week and of the year) and as an age.

    Args:
        column: a column of times; the schema's timestamp column means the moment of the request.
        name: key in the batch.
    """


@dataclass(frozen=True)
class Text(Feature):
    """Words and n-grams of words, hashed, so that new words need no new vocabulary.

    Args:
        column: a column of strings.
        name: key in the batch.
        ngrams: longest run of words taken as one token.
        buckets: number of hash buckets.
        dim: width of the embedding; the tower's width by default.
    """

    ngrams: int = 2
    buckets: int = 16384
    dim: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive(self, "ngrams", self.ngrams)
        _check_positive(self, "buckets", self.buckets)


@dataclass(frozen=True)
class Tags(Feature):
    """Several values in one row, such as genres.

    Args:
        column: a column of lists, or of strings joined by `separator`.
        name: key in the batch.
        separator: what joins the values of a string column.
        dim: width of the embedding; the tower's width by default.
    """

    separator: str = "|"
    dim: int | None = None


@dataclass(frozen=True)
class Vector(Feature):
    """A ready-made embedding, such as one of an image or a sentence.

    Args:
        column: a column of equally long lists of numbers.
        name: key in the batch.
    """


@dataclass(frozen=True)
class History(Feature):
    """What the user did before: the items of the events strictly before the target.

    Args:
        column: the schema's item id column, or a category column of the items.
        name: key in the batch; the column's name with `_history` by default.
        length: how many of the latest events are kept.
        pooling: `"mean"`; `"attention"`, which learns how much each event counts from its item and from how
            many events ago it was; or, in a ranker, `"target"`, which learns how much each event says about
            the candidate at hand (DIN).
        dropout: share of the events that training hides, from 0 to below 1. Where times are unknown a
            history is all the user's other events, and without dropout a model learns to guess the target
            as the one that is missing.
        dim: width of the embedding; the tower's width by default.
    """

    length: int = 200
    pooling: Literal["mean", "attention", "target"] = "attention"
    dropout: float = 0.5
    dim: int | None = None
    suffix: ClassVar[str] = "_history"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_positive(self, "length", self.length)
        if not 0 <= self.dropout < 1:
            raise ConfigError(
                f"dropout must be from 0 to below 1, got {self.dropout}",
                where=f"History({self.column!r})",
                remedy="such as 0.5",
            )
        if self.pooling not in POOLINGS:
            raise ConfigError(
                f"pooling {self.pooling!r} is unknown",
                where=f"History({self.column!r})",
                remedy=did_you_mean(self.pooling, POOLINGS),
            )

    @property
    def target_name(self) -> str:
        """Key in the batch of the candidates' own values, which `"target"` compares the events with."""
        return f"{self.name}_target"


FEATURES: tuple[type[Feature], ...] = (Id, Category, Number, Timestamp, Text, Tags, Vector, History)


def feature_from_dict(saved: Mapping[str, Any]) -> Feature:
    """The reverse of `Feature.to_dict`.

    Raises:
        ConfigError: the kind or an argument is unknown.
    """
    arguments = dict(saved)
    kind = arguments.pop("kind", "")
    for cls in FEATURES:
        if cls.__name__ == kind:
            try:
                return cls(**arguments)
            except TypeError as error:
                known = list(cls.__dataclass_fields__)
                raise ConfigError(f"{error}", where=f"feature {kind}", remedy=f"it takes {known}") from error
    names = [cls.__name__ for cls in FEATURES]
    raise ConfigError(f"feature kind {kind!r} is unknown", remedy=did_you_mean(str(kind), names))


def _check_positive(feature: Feature, field: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise ConfigError(
            f"{field} must be at least 1, got {value}",
            where=f"{type(feature).__name__}({feature.column!r})",
            remedy="leave it out for the default",
        )
