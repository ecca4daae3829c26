"""A running server's parts, and the work that its routes share."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from shortlist.errors import Error, StoreError
from shortlist.serving.bundles.fleet import Fleet
from shortlist.serving.bundles.shelf import Shelf, load
from shortlist.serving.engine.batching import Batcher, calmly
from shortlist.serving.engine.engine import Timed
from shortlist.serving.engine.past import Past
from shortlist.serving.experiments.desks import Desk
from shortlist.serving.experiments.trials import Trials
from shortlist.serving.schemas.api import Asking, Bundles, Recommended, RecommendRequest
from shortlist.serving.security.keys import KeyFile
from shortlist.serving.security.limits import RateLimit, RequestLimit
from shortlist.serving.settings import ServerSettings
from shortlist.serving.stores import Event, Store, open_store
from shortlist.serving.telemetry.logs import JsonLines
from shortlist.serving.telemetry.metrics import Telemetry
from shortlist.serving.telemetry.tracing import Tracing

HISTORY_EVENTS = 200  # latest events of a user that the store is asked for
REQUESTS_A_COMMIT = 100  # whose events are kept in one transaction
REFRESH_SECONDS = 0.25  # between two looks at the store
LATE = 0.5  # share of the budget after which the stages hurry, so that the answer comes within it

T = TypeVar("T")
log = logging.getLogger("shortlist.serving")


class Service:
    """The parts of a server.

    Args:
        bundle: folder of the first bundle.
        settings: how it runs.
        fleet: the workers that this process is one of, or None.

    Raises:
        BundleError: the bundle cannot be used.
        StoreError: the store cannot be opened.
        ConfigError: the file of keys, or the store's address, is not right.
    """

    def __init__(self, bundle: str | Path, settings: ServerSettings, fleet: Fleet | None = None) -> None:
        self.settings, self.telemetry, self.fleet = settings, Telemetry(), fleet
        self.tracing = Tracing() if settings.trace else None
        self.keys = None if settings.keys is None else KeyFile(settings.keys)
        self.rate = None if settings.rate is None else RateLimit(settings.rate)
        self.requests = RequestLimit(settings.max_requests)
        self.draining = False
        first = load(Path(bundle))  # first, so that a bundle that is not there leaves no store behind
        self.store: Store = open_store(settings.store)
        root = Path(bundle).resolve().parent if settings.bundles is None else settings.bundles
        self.shelf = Shelf(first, self.store, root=root, watch=self._watch)
        self._main = self._desk(self.shelf)
        self.trials = Trials(self.store, self._main, self._open_desk, self.telemetry)
        self._events = Batcher(self._keep, name="events", size=REQUESTS_A_COMMIT)
        self._others = ThreadPoolExecutor(4, thread_name_prefix="others")
        self._changes = ThreadPoolExecutor(1, thread_name_prefix="changes")
        self._following: list[asyncio.Task[None]] = []
        self.lines = None if settings.log is None else JsonLines(settings.log)

    async def start(self) -> None:
        """Begin to follow the store: its items, and the experiment in progress."""
        try:
            await self.trials.follow()
        except Exception as error:  # whatever the store says, the server answers
            log.warning("the experiment cannot be taken up: %s", error)
        works = {"the store's items": self._refresh, "the store's experiment": self.trials.follow}
        if self.fleet is not None:
            works["the other workers"] = self._follow_fleet
        self._following = [asyncio.create_task(_repeat(*each)) for each in works.items()]

    async def close(self) -> None:
        """Finish what has begun, then let go of the store."""
        self.draining = True
        for each in self._following:
            each.cancel()
        await self._main.queue.close()
        await self.trials.close()
        await self._events.close()
        self._changes.shutdown()
        self._others.shutdown()
        self.store.close()
        if self.tracing is not None:
            self.tracing.close()
        if self.lines is not None:
            self.lines.close()

    def is_full(self, coming: int = 0) -> bool:
        """Whether a list would be refused, whoever asked for it.

        Args:
            coming: requests that have been let in, but have not reached a desk.
        """
        desks = self.trials.answering
        return self.requests.is_full(coming) or all(
            desk.queue.is_full(coming // len(desks)) for desk in desks
        )

    async def recommend(self, request: RecommendRequest) -> Recommended:
        """An answer within the budget: of the user's funnel, or of the most popular items.

        Args:
            request: what is asked.

        Raises:
            Error: the request is wrong.
            Refusal: the server is busy.
        """
        until = time.monotonic() + self.settings.budget
        return await self.trials.recommend(request, partial(self._ask, request), until=until)

    async def change_bundle(self, path: str | None) -> Bundles:
        """Answer from another bundle, here and in the other workers; one change after the other.

        Args:
            path: of the bundle; None goes back to the one before.

        Raises:
            Error: it cannot be used.
        """
        work = partial(self._change_bundle, path)
        # In a thread of its own: what takes seconds must not keep waiting those whose work takes none.
        return await asyncio.get_running_loop().run_in_executor(self._changes, calmly, work)

    async def keep(self, events: Sequence[Event]) -> int:
        """Keep events; how many were new. They are on the disk when this returns."""
        return await self._events.do(events)

    async def do(self, work: Callable[[], T]) -> T:
        """Work that waits for a disk or another server, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._others, calmly, work)

    def past(self, asking: Sequence[Asking]) -> Past:
        """What the store knows of those who ask.

        Raises:
            StoreError: the store cannot be reached.
        """
        users = list(dict.fromkeys(str(each.user) for each in asking if each.user is not None))
        if not users:
            return Past()
        return Past(self.store.histories(users, HISTORY_EVENTS), self.store.features(users))

    def audit(self, **facts: Any) -> None:
        """Note a change by an administrator; what the file does not take goes to the log."""
        line = json.dumps({"time": round(time.time(), 3), **facts})
        if self.settings.audit is None:
            log.info("audit %s", line)
            return
        try:
            with self.settings.audit.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:  # the change is made, and its client must not be told otherwise
            log.error("audit %s (%s cannot be written: %s)", line, self.settings.audit, error)

    def _change_bundle(self, path: str | None) -> Bundles:
        if self.fleet is not None:
            return self.fleet.change(self.shelf, path)
        return self.shelf.roll_back() if path is None else self.shelf.use(path)

    async def _ask(self, request: RecommendRequest, desk: Desk) -> Recommended:
        """An answer of one bundle."""
        budget = self.settings.budget
        here = None if self.tracing is None else self.tracing.here()
        job = Timed(request, time.monotonic() + LATE * budget, here)
        try:
            async with asyncio.timeout(budget):
                answer = await desk.queue.do(job)
        except TimeoutError:
            self.telemetry.fallbacks.inc()
            return desk.shelf.engine.fallback(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _desk(self, shelf: Shelf) -> Desk:
        settings = self.settings
        queue = Batcher(
            partial(self._recommend, shelf),
            name="answers",
            size=settings.batch_size,
            delay=settings.batch_delay,
            longest_wait=settings.longest_wait,
        )
        return Desk(shelf, queue)

    def _open_desk(self, path: str, seen: bool) -> Desk:
        """A desk for a bundle; the stages of what nobody sees are not measured among the others."""
        watch = self._watch if seen else _unwatched
        return self._desk(Shelf(load(self.shelf.folder(path)), self.store, root=self.shelf.root, watch=watch))

    def _recommend(self, shelf: Shelf, batch: Sequence[Timed]) -> Sequence[Recommended | Error]:
        """Answer a batch, in the thread of the answers."""
        if self.tracing is None:
            return self._answer(shelf, batch)
        with self.tracing.batch([each.trace for each in batch]):
            return self._answer(shelf, batch)

    def _answer(self, shelf: Shelf, batch: Sequence[Timed]) -> Sequence[Recommended | Error]:
        """The answers of a batch; one engine gives all of them."""
        engine, cut = shelf.engine, list[str]()
        self.telemetry.batch.observe(len(batch))
        try:
            past = self.past([each.request for each in batch])
        except StoreError as error:  # better a list without the last events than none
            log.warning("answering without the store: %s", error)
            past, cut = Past(), ["history"]
        answers = engine.recommend(batch, past)
        for answer in answers:
            if isinstance(answer, Recommended):
                answer.cut.extend(cut)
                self.telemetry.cut(answer.cut)
        return answers

    def _keep(self, jobs: Sequence[Sequence[Event]]) -> Sequence[int]:
        """Keep the events of several requests in one transaction, in the thread of the events."""
        new = iter(self.store.add_events([event for events in jobs for event in events]))
        counts = [sum(next(new) for _ in events) for events in jobs]
        self.telemetry.events.inc(sum(counts))
        return counts

    def _watch(self, stage: str, seconds: float) -> None:
        self.telemetry.stage(stage, seconds)
        if self.tracing is not None:
            self.tracing.stage(stage, seconds)

    async def _follow_fleet(self) -> None:
        if self.fleet is not None:
            await self.do(partial(self.fleet.follow, self.shelf))

    async def _refresh(self) -> None:
        """Take up what changed in the store's items."""
        for shelf in (self.shelf, *(desk.shelf for desk in self.trials.desks())):
            await self.do(shelf.refresh)


async def _repeat(what: str, work: Callable[[], Awaitable[None]]) -> None:
    """Follow something until cancelled."""
    said = ""
    while True:
        try:
            await work()
            said = ""
        except Exception as error:  # the server answers without the changes, and tries again
            if str(error) != said:  # once, not four times a second
                said = str(error)
                log.warning("%s cannot be followed: %s", what, said, exc_info=error)
        await asyncio.sleep(REFRESH_SECONDS)


def _unwatched(stage: str, seconds: float) -> None:
    """Measure nothing."""
