"""The experiment in progress: who gets which funnel, and the note of it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from shortlist.errors import StoreError
from shortlist.serving.engine.batching import Batcher, calmly
from shortlist.serving.experiments.desks import Desk, Trial
from shortlist.serving.experiments.experiment import (
    ArmState,
    Assignment,
    Experiment,
    ExperimentState,
    Shadow,
    assign,
    check_experiment,
)
from shortlist.serving.refusal import Refusal
from shortlist.serving.schemas.api import Recommended, RecommendRequest
from shortlist.serving.stores import Exposure, Store
from shortlist.serving.telemetry.metrics import Telemetry

SETTING = "experiment"
EXPOSURES_A_COMMIT = 100
EXPOSURE_SECONDS = 0.05  # that an exposure has at least to be kept, when the answer took all of its time
SHADOWS_AT_ONCE = 4  # more are left out, so that what nobody sees does not slow down what somebody does

T = TypeVar("T")
Ask = Callable[["Desk"], Awaitable[Recommended]]

log = logging.getLogger("shortlist.serving")


class Trials:
    """Which experiment is in progress; the store says so to all servers that share it.

    Args:
        store: that keeps the experiment and the exposures.
        main: of the server's own bundle.
        open_desk: makes a desk for the bundle at a path; told also whether users see its lists.
        telemetry: told of exposures.
    """

    def __init__(
        self, store: Store, main: Desk, open_desk: Callable[[str, bool], Desk], telemetry: Telemetry
    ) -> None:
        self.store, self.main, self.open_desk, self.telemetry = store, main, open_desk, telemetry
        self.current: Trial | None = None
        self._known: str | None = None  # the setting as it was last taken up, or refused
        self._changing = asyncio.Lock()
        self._shadows: set[asyncio.Task[None]] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._log: Batcher[Exposure, None] = Batcher(self._keep, name="exposures", size=EXPOSURES_A_COMMIT)

    @property
    def state(self) -> ExperimentState:
        """What is in progress."""
        trial = self.current
        if trial is None:
            return ExperimentState()
        desks = {each.name: trial.desks.get(each.name, self.main) for each in trial.funnels}
        bundles = [ArmState(name, desk.shelf.bundles.current) for name, desk in desks.items()]
        return ExperimentState(experiment=trial.experiment, bundles=bundles)

    def desk_of(self, user: str) -> Desk:
        """The desk that a user's lists come from."""
        if self.current is None:
            return self.main
        return self.current.desks.get(assign(self.current.experiment, user).arm.name, self.main)

    def desks(self) -> list[Desk]:
        """The desks of arms and shadows."""
        return [] if self.current is None else list(self.current.desks.values())

    @property
    def answering(self) -> list[Desk]:
        """The desks that users' lists come from."""
        return [self.main, *(() if self.current is None else self.current.seen)]

    async def change(self, experiment: Experiment | None) -> ExperimentState:
        """Begin an experiment in place of the one in progress, or end it.

        Args:
            experiment: the new one, or None.

        Raises:
            ConfigError: it does not fit together, or a bundle lies elsewhere.
            BundleError: a bundle is missing, damaged or newer.
            StoreError: the store cannot be reached.
        """
        if experiment is not None:
            check_experiment(experiment)
        async with self._changing:
            trial = await self._opened(experiment)
            value = None if experiment is None else msgspec.to_builtins(experiment)
            try:
                await _in_thread(partial(self.store.put_setting, SETTING, value))
            except StoreError:
                if trial is not None:
                    await trial.close()
                raise
            self._take(trial, _text(value))
        return self.state

    async def follow(self) -> None:
        """Take up what another server has begun or ended.

        Raises:
            StoreError: the store cannot be reached; the next look tries again.
            Error: it cannot be taken up; it is not tried again until it changes.
        """
        async with self._changing:  # what is being changed here is not taken up a second time
            value = await _in_thread(partial(self.store.setting, SETTING))
            text = _text(value)
            if text == self._known:
                return
            try:
                trial = await self._opened(None if value is None else msgspec.convert(value, Experiment))
            except StoreError:
                raise
            except Exception:
                self._known = text
                raise
            self._take(trial, text)

    async def recommend(self, request: RecommendRequest, ask: Ask, *, until: float) -> Recommended:
        """An answer of the funnel that the user belongs to, noted before it is given.

        Args:
            request: what is asked.
            ask: gets an answer from a desk.
            until: moment of `time.monotonic` when the answer must be there.
        """
        trial = self.current
        if trial is None or request.user is None:
            return await ask(self.main)
        name = trial.experiment.name
        assigned = assign(trial.experiment, str(request.user))
        if not request.shown:
            answer = await ask(self.desk_of(str(request.user)))
            return msgspec.structs.replace(answer, experiment=name, arm=assigned.name)
        started = time.monotonic()
        answer = await ask(trial.desks.get(assigned.arm.name, self.main))
        self.telemetry.arm(assigned.name, time.monotonic() - started)
        exposure = _exposure(os.urandom(12).hex(), name, assigned, request, answer)
        self._ask_shadows(trial, request, exposure, ask)
        try:
            async with asyncio.timeout(max(EXPOSURE_SECONDS, until - time.monotonic())):
                await self._log.do(exposure)
        except (StoreError, TimeoutError, Refusal) as error:
            log.warning("an exposure may not be kept: %s", error or "there was no time")
            return msgspec.structs.replace(answer, cut=[*answer.cut, "exposure"])
        return msgspec.structs.replace(answer, experiment=name, arm=assigned.name, exposure=exposure.id)

    async def close(self) -> None:
        """Finish what has begun."""
        if begun := self._shadows | self._retiring:
            await asyncio.wait(begun)
        if self.current is not None:
            await self.current.close()
        await self._log.close()

    async def _opened(self, experiment: Experiment | None) -> Trial | None:
        if experiment is None:
            return None
        desks: dict[str, Desk] = {}
        trial = Trial(experiment, desks)
        try:
            for each in trial.funnels:
                if each.path is not None:
                    seen = not isinstance(each, Shadow)
                    desks[each.name] = await _in_thread(partial(self.open_desk, each.path, seen))
        except Exception:
            await trial.close()
            raise
        return trial

    def _take(self, trial: Trial | None, text: str) -> None:
        before, self.current, self._known = self.current, trial, text
        if before is not None:
            _keep_track(self._retiring, before.retire())

    def _ask_shadows(
        self,
        trial: Trial,
        request: RecommendRequest,
        exposure: Exposure,
        ask: Ask,
    ) -> None:
        for shadow in trial.experiment.shadows:
            if random.random() >= shadow.share:
                continue
            if len(self._shadows) >= SHADOWS_AT_ONCE or len(self.main.queue):
                self.telemetry.shadows_left_out.inc()
                continue
            _keep_track(self._shadows, self._ask_shadow(trial, shadow, request, exposure, ask))

    async def _ask_shadow(
        self,
        trial: Trial,
        shadow: Shadow,
        request: RecommendRequest,
        shown: Exposure,
        ask: Ask,
    ) -> None:
        started = time.monotonic()
        try:
            answer = await ask(trial.desks[shadow.name])
            self.telemetry.arm(shadow.name, time.monotonic() - started)
            assigned = Assignment(trial.experiment.arms[0], shadow.name, shadow.share)
            made = _exposure(
                f"{shown.id}:{shadow.name}", shown.experiment, assigned, request, answer, shown=False
            )
            await self._log.do(made)
        except Exception as error:  # nobody waits for it
            log.warning("the shadow %s fails: %s", shadow.name, error)

    def _keep(self, exposures: Sequence[Exposure]) -> Sequence[None]:
        self.store.add_exposures(exposures)
        for each in exposures:
            self.telemetry.exposures.labels(each.experiment, each.arm).inc()
        return [None] * len(exposures)


async def _in_thread(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(calmly, work)


def _keep_track(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _exposure(
    id_: str,
    experiment: str,
    assigned: Assignment,
    request: RecommendRequest,
    answer: Recommended,
    *,
    shown: bool = True,
) -> Exposure:
    return Exposure(
        id=id_,
        user=str(request.user),
        time=int(time.time()),
        experiment=experiment,
        arm=assigned.name,
        probability=assigned.probability,
        bundle=answer.bundle,
        items=tuple(map(str, answer.items)),
        scores=tuple(answer.scores),
        shown=shown,
        context=dict(request.context),
    )
