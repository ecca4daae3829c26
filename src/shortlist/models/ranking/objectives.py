"""What a ranker of several objectives predicts, from which columns, and how its score comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import polars as pl
import torch
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.features import Feature
from shortlist.errors import ConfigError, DataError, SchemaError, did_you_mean
from shortlist.tasks.multitask import BALANCES, Balance

Sharing = Literal["shared_bottom", "mmoe", "ple"]
SHARINGS: tuple[Sharing, ...] = ("shared_bottom", "mmoe", "ple")
OBJECTIVE_LOSSES = ("click", "rating")


@dataclass(frozen=True)
class Objectives:
    """Several labels that a `Ranker` learns at once, by heads over a shared representation.

    Each label is a numeric column of the interactions; where it is missing (null or NaN) the event teaches
    the other objectives alone.

    Args:
        losses: for each column, `"click"` (binary cross-entropy of a label from 0 to 1) or `"rating"`
            (squared error).
        sharing: `"shared_bottom"` (one network for all), `"mmoe"` (shared experts, a gate for each objective)
            or `"ple"` (experts of each objective's own too, in two levels).
        experts: how many experts the objectives share; with `"ple"` each has as many of its own. Their layers
            are the ranker's `hidden`.
        head: widths of the layers between the shared representation and each prediction.
        balance: how the losses become one, see `tasks.MultiTask`: None adds them up by `weights`.
        weights: of the losses, by column; 1 by default. Not where the balance learns them.
        score: what each prediction counts in the score that the funnel orders by: the probability of a click,
            the value of a rating; columns that are not named count 1.

    Raises:
        ConfigError: there is no objective, a name is unknown or a number out of range.
    """

    losses: Mapping[str, Literal["click", "rating"]]
    sharing: Sharing = "mmoe"
    experts: int = 4
    head: Sequence[int] = (32,)
    balance: Balance | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    score: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (isinstance(self.losses, Mapping) and self.losses):
            raise _refused("there is no objective", 'such as losses={"like": "click", "stars": "rating"}')
        for column, loss in self.losses.items():
            if loss not in OBJECTIVE_LOSSES:
                remedy = did_you_mean(str(loss), OBJECTIVE_LOSSES)
                raise _refused(f"the loss {loss!r} of {column!r} is unknown", remedy)
        if self.sharing not in SHARINGS:
            raise _refused(f"sharing {self.sharing!r} is unknown", did_you_mean(self.sharing, SHARINGS))
        if self.balance is not None and self.balance not in BALANCES:
            raise _refused(f"balance {self.balance!r} is unknown", did_you_mean(self.balance, BALANCES))
        if not isinstance(self.experts, int) or self.experts < 1:
            raise _refused(f"experts must be a whole number from 1, got {self.experts!r}", "such as 4")
        if self.weights and self.balance in ("uncertainty", "gradnorm"):
            raise _refused(f"weights are given and balance={self.balance!r} would learn them", "drop one")
        for what, least in (("weights", 0.0), ("score", -float("inf"))):
            for column, value in getattr(self, what).items():
                if column not in self.losses:
                    raise _refused(f"{what} names {column!r}", did_you_mean(column, self.losses))
                if not (value >= least and abs(value) < float("inf")):
                    raise _refused(f"{what} of {column!r} is {value}", "give a finite number, such as 1.0")

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {**asdict(self), "head": list(self.head)}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Objectives:
        """The reverse of `to_dict`.

        Raises:
            ConfigError: a key is unknown.
        """
        known = [each.name for each in fields(cls)]
        for name in saved:
            if name not in known:
                raise _refused(f"unknown key {name!r}", did_you_mean(name, known))
        return cls(**{**saved, "head": tuple(saved.get("head", ()))})

    def check_features(self, features: Sequence[Feature]) -> None:
        """Refuse features that give an answer away.

        Args:
            features: of the query and of the candidate.

        Raises:
            ConfigError: a feature reads the column of an objective.
        """
        for feature in features:
            if feature.column in self.losses:
                raise _refused(
                    f"{feature.column!r} is an objective and a feature",
                    "drop the feature: when the ranker is asked, nobody knows the answer yet",
                )

    def labels(self, data: Dataset) -> Tensor:
        """The labels of some events.

        Args:
            data: the events.

        Returns:
            `[events, objectives]` float32, NaN where a label is missing.

        Raises:
            SchemaError: a column is missing, or holds no numbers.
            DataError: a column has no label at all, an infinite one, or a click outside 0 to 1.
        """
        return torch.stack([self._column(data, name) for name in self.losses], dim=1)

    def _column(self, data: Dataset, name: str) -> Tensor:
        table, where = data.interactions, data.name or "the interactions"
        if name not in table.columns:
            remedy = did_you_mean(name, table.columns)
            raise SchemaError(f"the objective {name!r} has no column", where=where, remedy=remedy)
        kind = table[name].dtype
        if not (kind.is_numeric() or kind in (pl.Boolean, pl.Null)):
            raise SchemaError(
                f"labels must be numbers, got {kind}", where=f"column {name!r}", remedy="cast it to Float32"
            )
        values = torch.from_numpy(
            table[name].cast(pl.Float32).fill_null(float("nan")).to_numpy(writable=True)
        )
        known = values[~values.isnan()]
        if len(known) == 0:
            raise DataError(
                f"the objective {name!r} has no label", where=where, remedy="drop it, or fill the column"
            )
        low, high = float(known.min()), float(known.max())
        if self.losses[name] == "click" and not 0 <= low <= high <= 1:
            raise DataError(
                f"labels of {name!r} from {low:g} to {high:g} are no clicks",
                where=where,
                remedy='use "rating", or bring the labels to 0..1',
            )
        if not max(-low, high) < float("inf"):
            raise DataError(f"a label of {name!r} is infinite", where=where, remedy="mend it or make it null")
        return values


def _refused(what: str, remedy: str) -> ConfigError:
    return ConfigError(what, where="Objectives", remedy=remedy)
