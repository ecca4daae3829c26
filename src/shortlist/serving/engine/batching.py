"""Jobs of concurrent requests, done together by one thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

from shortlist.serving.refusal import Refusal

Job = TypeVar("Job")
Answer = TypeVar("Answer")

SMOOTHING = 0.1  # weight of the last batch in their mean time


@dataclass(frozen=True)
class Batch(Generic[Job, Answer]):
    """Jobs that are done together.

    Args:
        loop: where the answers are waited for.
        jobs: each with who waits for it.
        begun: when, by `time.perf_counter`.
    """

    loop: asyncio.AbstractEventLoop
    jobs: Sequence[tuple[Job, asyncio.Future[Answer]]]
    begun: float


def calmly(work: Callable[[], Answer]) -> Answer:
    """Work whose every failure is an Exception: what a native library panics with is none."""
    try:
        return work()
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


class Batcher(Generic[Job, Answer]):
    """Gathers jobs and does them in batches, one batch at a time, in a thread of its own.

    While a batch is being done, the jobs that come wait and make the next one. A job therefore waits for at
    most the batch in progress, those before it in the queue, and `delay`.

    Args:
        work: does a batch; called in the thread, answers in the order of the jobs. What it raises, all the
            jobs of the batch raise.
        name: of the thread.
        size: jobs a batch at most.
        delay: seconds that the first job of a batch waits for others.
        longest_wait: seconds of work that may be ahead of a job; above, it is shed.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Job]], Sequence[Answer]],
        *,
        name: str,
        size: int,
        delay: float = 0.0,
        longest_wait: float = float("inf"),
    ) -> None:
        self.work, self.name, self.size, self.delay, self.longest_wait = work, name, size, delay, longest_wait
        self.batch_seconds = 0.0  # of the last batches, on average
        self._waiting: deque[tuple[Job, asyncio.Future[Answer]]] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self._batches: SimpleQueue[Batch[Job, Answer] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    async def do(self, job: Job) -> Answer:
        """Have a job done.

        Args:
            job: what `work` takes.

        Raises:
            Refusal: too much work is ahead of it (503).
        """
        ahead = len(self._waiting) / self.size * self.batch_seconds
        if ahead > self.longest_wait:
            raise Refusal(503, "the server is busy", remedy="send the request again later", retry_after=1)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((job, future))
        if self._idle.is_set():
            self._idle.clear()
            loop.call_later(self.delay, self._begin, loop)
        return await future

    async def close(self) -> None:
        """Do what is waiting, then end the thread."""
        await self._idle.wait()
        if self._thread is not None:
            self._batches.put(None)
            self._thread.join()
            self._thread = None

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand the next batch to the thread, or rest."""
        jobs: list[tuple[Job, asyncio.Future[Answer]]] = []
        while self._waiting and len(jobs) < self.size:
            job, future = self._waiting.popleft()
            if not future.done():  # somebody still waits for it
                jobs.append((job, future))
        if not jobs:
            self._idle.set()
            return
        if self._thread is None:
            # Executors are left aside: their futures and locks cost as much as some of the stages.
            self._thread = threading.Thread(target=self._do_batches, name=self.name, daemon=True)
            self._thread.start()
        self._batches.put(Batch(loop, jobs, time.perf_counter()))

    def _do_batches(self) -> None:
        """The thread."""
        while (batch := self._batches.get()) is not None:
            outcome: Sequence[Answer] | Exception
            try:
                jobs = [job for job, _ in batch.jobs]
                outcome = calmly(partial(self.work, jobs))
                if len(outcome) != len(jobs):
                    raise RuntimeError(f"{len(outcome)} answers for {len(jobs)} jobs")
            except Exception as error:
                outcome = error
            batch.loop.call_soon_threadsafe(self._end, batch, outcome)

    def _end(self, batch: Batch[Job, Answer], outcome: Sequence[Answer] | Exception) -> None:
        """Give the answers of a batch, and begin the next one."""
        if isinstance(outcome, Exception):
            for _, future in batch.jobs:
                if not future.done():
                    future.set_exception(outcome)
        else:
            seconds = time.perf_counter() - batch.begun
            self.batch_seconds += SMOOTHING * (seconds - self.batch_seconds)
            for (_, future), answer in zip(batch.jobs, outcome, strict=True):
                if not future.done():
                    future.set_result(answer)
        self._begin(batch.loop)
