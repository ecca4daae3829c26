"""What an experiment is, and which of its arms a user belongs to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from shortlist.errors import ConfigError

HOLDOUT = "holdout"  # the arm of those who are kept from all experiments
MOST_ARMS = 10
ROUNDING = 1e-6  # by which shares may miss 1

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
Share = Annotated[float, Meta(gt=0, le=1)]
Folder = Annotated[str, Meta(min_length=1, max_length=1000)]


class Arm(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A funnel that some of the users get."""

    name: Name
    share: Annotated[Share, Meta(description="of the users; the arms' shares make 1")]
    path: Annotated[Folder | None, Meta(description="of its bundle; by default the server's own")] = None


class Shadow(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A funnel that is asked what users ask, and whose lists nobody sees."""

    name: Name
    path: Annotated[Folder, Meta(description="of its bundle")]
    share: Annotated[Share, Meta(description="of the requests")] = 1.0


class Experiment(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Funnels side by side. The first arm is the one that others are compared with."""

    name: Name
    arms: Annotated[list[Arm], Meta(min_length=1, max_length=MOST_ARMS)]
    salt: Annotated[
        Annotated[str, Meta(max_length=100)] | None,
        Meta(description="which users fall together; the name by default"),
    ] = None
    holdout: Annotated[
        float, Meta(ge=0, lt=1, description="share of users who get the first arm in every experiment")
    ] = 0.0
    shadows: Annotated[list[Shadow], Meta(max_length=MOST_ARMS)] = []


class ArmState(Struct, frozen=True):
    """Which bundle answers for an arm or a shadow."""

    name: str
    bundle: str


class ExperimentState(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """The experiment in progress; empty where there is none."""

    experiment: Experiment | None = None
    bundles: list[ArmState] = []


@dataclass(frozen=True)
class Assignment:
    """Where a user belongs.

    Args:
        arm: whose funnel answers.
        name: that the exposure bears: of the arm, or `HOLDOUT`.
        probability: that a user belongs there.
    """

    arm: Arm
    name: str
    probability: float


def check_experiment(experiment: Experiment) -> None:
    """Refuse an experiment that does not fit together.

    Args:
        experiment: any.

    Raises:
        ConfigError: shares do not make 1, or a name comes twice.
    """
    total = sum(arm.share for arm in experiment.arms)
    if abs(total - 1) > ROUNDING:
        raise ConfigError(
            f"the shares of the arms make {total:g}", where=experiment.name, remedy="let them make 1"
        )
    names = [*(arm.name for arm in experiment.arms), *(shadow.name for shadow in experiment.shadows)]
    for name in names:
        if name == HOLDOUT or names.count(name) > 1:
            what = "is the holdout's" if name == HOLDOUT else "comes twice"
            raise ConfigError(f"the name {name!r} {what}", where=experiment.name, remedy="choose another")


def assign(experiment: Experiment, user: str) -> Assignment:
    """Where a user belongs: the same place each time, on every server.

    Who is held out depends on the user alone, so that it is the same people in all experiments with the same
    holdout.

    Args:
        experiment: any.
        user: the id.
    """
    held, arms = experiment.holdout, experiment.arms
    if held and fraction(HOLDOUT, user) < held:
        return Assignment(arms[0], HOLDOUT, held)
    place, before = fraction(f"arm {experiment.salt or experiment.name}", user), 0.0
    for arm in arms[:-1]:
        before += arm.share
        if place < before:
            return Assignment(arm, arm.name, (1 - held) * arm.share)
    return Assignment(arms[-1], arms[-1].name, (1 - held) * arms[-1].share)


def fraction(salt: str, user: str) -> float:
    """A number in [0, 1) that depends on a salt and a user alone, spread evenly over users."""
    digest = hashlib.blake2b(f"{salt}\0{user}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
