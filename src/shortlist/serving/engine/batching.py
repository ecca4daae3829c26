"""Jobs of concurrent requests, done together by one thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

from shortlist.serving.engine.pace import Pace
from shortlist.serving.refusal import busy

Job = TypeVar("Job")
Answer = TypeVar("Answer")


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
        longest_wait: seconds of work that may be ahead of a job: the rest of the batch in progress, and what
            those who wait will take. Above, it is shed, unless it is the first to wait.
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
        self.pace = Pace(size)
        self._waiting: deque[tuple[Job, asyncio.Future[Answer]]] = deque()
        self._lock = threading.Lock()  # of the two below: whether the thread has to be woken
        self._resting = True
        self._ends = 0.0  # when the batch in progress is likely to end, by `time.perf_counter`
        # Executors are left aside: their futures and locks cost as much as some of the stages.
        self._calls: SimpleQueue[bool] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    def is_full(self, coming: int = 0) -> bool:
        """Whether a job that came now would be shed.

        Args:
            coming: jobs that are not here yet, but will be before it.
        """
        waiting = len(self._waiting) + coming
        if not waiting:
            return False
        rest = max(0.0, self._ends - time.perf_counter())
        return rest + self.pace.ahead(waiting) > self.longest_wait

    async def do(self, job: Job) -> Answer:
        """Have a job done.

        Args:
            job: what `work` takes.

        Raises:
            Refusal: too much work is ahead of it (503).
        """
        if self.is_full():
            raise busy()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        with self._lock:
            self._waiting.append((job, future))
            resting, self._resting = self._resting, False
        if resting:
            loop.call_later(self.delay, self._wake)
        return await future

    async def close(self) -> None:
        """Do what is waiting, then end the thread."""
        if self._waiting:
            self._wake()
        if self._thread is not None:
            self._calls.put(False)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._do_batches, name=self.name, daemon=True)
            self._thread.start()
        self._calls.put(True)

    def _do_batches(self) -> None:
        """The thread."""
        while self._calls.get():
            while jobs := self._next():
                self._do(jobs)

    def _next(self) -> list[tuple[Job, asyncio.Future[Answer]]]:
        """The next batch; none is left when the thread is to rest."""
        jobs: list[tuple[Job, asyncio.Future[Answer]]] = []
        with self._lock:
            while self._waiting and len(jobs) < self.size:
                job, future = self._waiting.popleft()
                if not future.done():  # somebody still waits for it
                    jobs.append((job, future))
            self._resting = not jobs
        return jobs

    def _do(self, jobs: Sequence[tuple[Job, asyncio.Future[Answer]]]) -> None:
        """Do a batch, and let the answers be given where they are waited for."""
        outcome: Sequence[Answer] | Exception
        begun = time.perf_counter()
        self._ends = begun + self.pace.seconds(len(jobs))
        try:
            outcome = calmly(partial(self.work, [job for job, _ in jobs]))
            if len(outcome) != len(jobs):
                raise RuntimeError(f"{len(outcome)} answers for {len(jobs)} jobs")
            self.pace.note(len(jobs), time.perf_counter() - begun)
        except Exception as error:
            outcome = error
        self._ends = 0.0
        futures = [future for _, future in jobs]
        futures[0].get_loop().call_soon_threadsafe(_give, futures, outcome)


def _give(futures: Sequence[asyncio.Future[Answer]], outcome: Sequence[Answer] | Exception) -> None:
    """Give the answers of a batch."""
    for number, future in enumerate(futures):
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome[number])
