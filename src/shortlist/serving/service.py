"""A running server's parts, and the work that its routes share."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from shortlist.errors import Error, StoreError
from shortlist.serving.batching import Batcher, calmly
from shortlist.serving.bundles import Shelf, load
from shortlist.serving.engine import Timed
from shortlist.serving.keys import KeyFile
from shortlist.serving.limits import RateLimit, RequestLimit
from shortlist.serving.past import Past
from shortlist.serving.schemas import Asking, Recommended, RecommendRequest
from shortlist.serving.settings import ServerSettings
from shortlist.serving.stores import Event, Store, open_store
from shortlist.serving.telemetry import Telemetry

HISTORY_EVENTS = 200  # latest events of a user that the store is asked for
REQUESTS_A_COMMIT = 100  # whose events are kept in one transaction
REFRESH_SECONDS = 0.25  # between two looks at the store's items
LATE = 0.5  # share of the budget after which the stages hurry, so that the answer comes within it

T = TypeVar("T")
log = logging.getLogger("shortlist.serving")


class Service:
    """The parts of a server.

    Args:
        bundle: folder of the first bundle.
        settings: how it runs.

    Raises:
        BundleError: the bundle cannot be used.
        StoreError: the store cannot be opened.
        ConfigError: the file of keys, or the store's address, is not right.
    """

    def __init__(self, bundle: str | Path, settings: ServerSettings) -> None:
        self.settings, self.telemetry = settings, Telemetry()
        self.keys = None if settings.keys is None else KeyFile(settings.keys)
        self.rate = None if settings.rate is None else RateLimit(settings.rate)
        self.requests = RequestLimit(settings.max_requests)
        self.draining = False
        first = load(Path(bundle))  # first, so that a bundle that is not there leaves no store behind
        self.store: Store = open_store(settings.store)
        root = Path(bundle).resolve().parent if settings.bundles is None else settings.bundles
        self.shelf = Shelf(first, self.store, root=root, watch=self.telemetry.stage)
        self._answers = Batcher(
            self._recommend,
            name="answers",
            size=settings.batch_size,
            delay=settings.batch_delay,
            longest_wait=settings.longest_wait,
        )
        self._events = Batcher(self._keep, name="events", size=REQUESTS_A_COMMIT)
        self._others = ThreadPoolExecutor(4, thread_name_prefix="others")
        self._refreshing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow the store's items."""
        self._refreshing = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Finish what has begun, then let go of the store."""
        self.draining = True
        if self._refreshing is not None:
            self._refreshing.cancel()
        await self._answers.close()
        await self._events.close()
        self._others.shutdown()
        self.store.close()

    async def recommend(self, request: RecommendRequest) -> Recommended:
        """An answer within the budget: of the funnel, or of the most popular items.

        Args:
            request: what is asked.

        Raises:
            Error: the request is wrong.
            Refusal: the server is busy.
        """
        budget = self.settings.budget
        job = Timed(request, time.monotonic() + LATE * budget)
        try:
            answer = await asyncio.wait_for(self._answers.do(job), budget)
        except TimeoutError:
            self.telemetry.fallbacks.inc()
            return self.shelf.engine.fallback(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

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
        """Note a change by an administrator."""
        line = json.dumps({"time": round(time.time(), 3), **facts})
        if self.settings.audit is None:
            log.info("audit %s", line)
            return
        with self.settings.audit.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _recommend(self, batch: Sequence[Timed]) -> Sequence[Recommended | Error]:
        """Answer a batch, in the thread of the answers; one engine answers all of it."""
        engine, cut = self.shelf.engine, list[str]()
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

    async def _follow(self) -> None:
        said = ""
        while True:
            try:
                await self.do(self.shelf.refresh)
                said = ""
            except Exception as error:  # the server answers without the changes, and tries again
                if str(error) != said:  # once, not four times a second
                    said = str(error)
                    log.warning("the store's items cannot be followed: %s", said, exc_info=error)
            await asyncio.sleep(REFRESH_SECONDS)
