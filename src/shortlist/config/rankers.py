"""`[ranker]`: the model that orders the candidates, and what it learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shortlist.calibration import Calibrator
from shortlist.calibration.storage import KINDS as CALIBRATORS
from shortlist.config.kinds import make_kind, make_kinds, placed
from shortlist.config.sections import BoostedRankerSection, RankerSection, Settings
from shortlist.data import Feature, History, Text
from shortlist.data.features import FEATURES
from shortlist.errors import ConfigError
from shortlist.models import BoostedRanker, Objectives, Ranker
from shortlist.nn.bodies import BODIES, Body

RANKER_KEYS = ("dim", "embedding_scale", "cross_layers", "hidden", "dropout", "loss")
TRAINING_KEYS = ("epochs", "batch_size", "learning_rate")
BOOSTED_KEYS = ("loss", "trees", "num_leaves", "learning_rate", "min_data_in_leaf")


@dataclass(frozen=True)
class RankerPlan:
    """The ranker of the funnel, not made yet.

    Args:
        section: its table.
        query: features of the users.
        candidate: features of the items.
        body: what stands between these and the score of a `Ranker`; None for the default.
        objectives: the labels that a `Ranker` learns, where there are several.
        calibration: the class that turns its scores into probabilities, or None.
        where: the file, for errors.
    """

    section: RankerSection | BoostedRankerSection
    query: tuple[Feature, ...]
    candidate: tuple[Feature, ...]
    body: Body | None
    objectives: Objectives | None
    calibration: type[Calibrator] | None
    where: str

    @property
    def learns_from_lists(self) -> bool:
        """Whether it learns from what retrievers find, and not from labelled events."""
        return self.objectives is None and (self.section.loss or "softmax") not in ("click", "rating")

    @property
    def needs_recent(self) -> bool:
        """Whether recent events are held back for it: to find candidates for, or to calibrate on."""
        return self.learns_from_lists or self.calibration is not None

    def make(self, retrievers: Sequence[str]) -> Ranker | BoostedRanker:
        """The untrained model; one that learns from lists reads the scores of all retrievers.

        Args:
            retrievers: their names.

        Raises:
            ConfigError: the model refuses its arguments.
        """
        section = self.section
        scores = [f"score_{name}" for name in retrievers] if self.learns_from_lists else []
        try:
            if isinstance(section, BoostedRankerSection):
                given = section.given(*BOOSTED_KEYS)
                return BoostedRanker(self.query, self.candidate, scores=scores, **given)
            return Ranker(
                self.query,
                self.candidate,
                scores=scores,
                body=self.body,
                objectives=self.objectives,
                **section.given(*RANKER_KEYS),
            )
        except ConfigError as error:
            raise placed(error, f"{self.where}, [ranker]") from error

    def training(self) -> dict[str, Any]:
        """The arguments of its training that the table gives, of `rank.fit` or of `Ranker.fit`."""
        if isinstance(self.section, BoostedRankerSection):
            return {}  # the learning rate of trees is an argument of the class
        return self.section.given(*TRAINING_KEYS)


def make_ranking(
    settings: Settings, *, query: tuple[Feature, ...], candidate: tuple[Feature, ...], where: str
) -> RankerPlan | None:
    """Check the table `[ranker]`, and the calibration that `[funnel]` names.

    Args:
        settings: the tables of the file.
        query: features of the retriever's users: those of the ranker's too, unless it names its own.
        candidate: likewise of the items.
        where: the file.

    Returns:
        The plan, or None without the table.

    Raises:
        ConfigError: a feature, the body, the objectives or the calibration is refused.
    """
    section = settings.ranker
    if section is None:
        if settings.funnel.calibration is not None:
            raise ConfigError(
                f"calibration is {settings.funnel.calibration!r}, and there is no ranker for it to mend",
                where=f"{where}, [funnel]",
                remedy="add the table [ranker], or leave calibration out",
            )
        return None
    sides = {"query": query, "candidate": candidate}
    for side in sides:
        tables = getattr(section, side)
        if tables is not None:
            sides[side] = make_kinds(FEATURES, tables, where=where, table=f"ranker.{side}")
        elif isinstance(section, BoostedRankerSection):
            sides[side] = tuple(each for each in sides[side] if not isinstance(each, History | Text))
    return RankerPlan(
        section,
        sides["query"],
        sides["candidate"],
        body=_body(section, where),
        objectives=_objectives(section, where),
        calibration=_calibration(settings, where),
        where=where,
    )


def _body(section: RankerSection | BoostedRankerSection, where: str) -> Body | None:
    if isinstance(section, BoostedRankerSection) or section.body is None:
        return None
    return make_kind(BODIES, section.body, where=f"{where}, [ranker.body]")


def _objectives(section: RankerSection | BoostedRankerSection, where: str) -> Objectives | None:
    if isinstance(section, BoostedRankerSection) or section.objectives is None:
        return None
    try:
        return Objectives(**section.objectives.given(*type(section.objectives).model_fields))
    except ConfigError as error:
        raise ConfigError(error.what, where=f"{where}, [ranker.objectives]", remedy=error.remedy) from error


def _calibration(settings: Settings, where: str) -> type[Calibrator] | None:
    """The class of the calibration, whose scores have to stand for one yes or no."""
    name, section = settings.funnel.calibration, settings.ranker
    if name is None:
        return None
    if isinstance(section, RankerSection) and (section.objectives is not None or section.loss == "rating"):
        scores = "ratings" if section.objectives is None else "sums of several predictions"
        raise ConfigError(
            f"calibration is {name!r}, and the ranker's scores are {scores}: no chance of one thing",
            where=f"{where}, [funnel]",
            remedy='leave calibration out, or rank with loss = "click" or a loss over lists',
        )
    return CALIBRATORS[name]
