"""Where lists are asked for: the queue of a bundle, and those of an experiment's arms and shadows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from shortlist.errors import Error
from shortlist.serving.bundles.shelf import Shelf
from shortlist.serving.engine.batching import Batcher
from shortlist.serving.engine.engine import Timed
from shortlist.serving.experiments.experiment import Arm, Experiment, Shadow
from shortlist.serving.schemas.api import Recommended

RETIRE_SECONDS = 1.0  # after which nobody can be asking a funnel that has been replaced


@dataclass(frozen=True, eq=False)
class Desk:
    """A bundle, and the queue of those who want lists of it.

    Args:
        shelf: which bundle.
        queue: answers from it.
    """

    shelf: Shelf
    queue: Batcher[Timed, Recommended | Error]


@dataclass(frozen=True, eq=False)
class Trial:
    """An experiment, ready.

    Args:
        experiment: what is compared.
        desks: of arms and shadows that have a bundle of their own, by name.
    """

    experiment: Experiment
    desks: Mapping[str, Desk]

    @property
    def funnels(self) -> list[Arm | Shadow]:
        """The arms and the shadows."""
        return [*self.experiment.arms, *self.experiment.shadows]

    @property
    def seen(self) -> list[Desk]:
        """The desks of arms, whose lists somebody sees."""
        return [self.desks[arm.name] for arm in self.experiment.arms if arm.name in self.desks]

    async def retire(self) -> None:
        """Close the desks once nobody can be asking there any more."""
        await asyncio.sleep(RETIRE_SECONDS)
        await self.close()

    async def close(self) -> None:
        """Answer who is waiting, and close the desks."""
        for desk in self.desks.values():
            await desk.queue.close()
