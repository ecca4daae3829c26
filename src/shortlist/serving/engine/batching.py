"""Jobs of concurrent requests, done together by one thread."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

from shortlist.serving.refusal import Refusal

Job = TypeVar("Job")
Answer = TypeVar("Answer")

SMOOTHING = 0.1  # weight of the last batch in the mean time of a job


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
        self.work, self.size, self.delay, self.longest_wait = work, size, delay, longest_wait
        self.job_seconds = 0.0
        self._waiting: deque[tuple[Job, asyncio.Future[Answer]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._worker: asyncio.Task[None] | None = None

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
        ahead = len(self._waiting) * self.job_seconds
        if ahead > self.longest_wait:
            raise Refusal(503, "the server is busy", remedy="send the request again later", retry_after=1)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._run())
        return await future

    async def close(self) -> None:
        """Do what is waiting, then end the thread."""
        while self._worker is not None and not self._worker.done():
            await asyncio.wait([self._worker])
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        if self.delay:
            await asyncio.sleep(self.delay)
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self.size, len(self._waiting)))]
            batch = [
                (job, future) for job, future in batch if not future.done()
            ]  # nobody waits for the others
            if not batch:
                continue
            started = time.perf_counter()
            try:
                jobs = [job for job, _ in batch]
                answers = await loop.run_in_executor(self._thread, calmly, partial(self.work, jobs))
                if len(answers) != len(batch):
                    raise RuntimeError(f"{len(answers)} answers for {len(batch)} jobs")
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            seconds = (time.perf_counter() - started) / len(batch)
            self.job_seconds += SMOOTHING * (seconds - self.job_seconds)
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
