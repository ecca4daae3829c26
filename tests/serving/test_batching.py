"""Jobs of concurrent requests, done together."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import pytest

from shortlist.serving.engine.batching import Batcher
from shortlist.serving.refusal import Refusal


def test_jobs_that_come_while_a_batch_is_done_make_the_next_one():
    batches: list[list[int]] = []
    go = threading.Event()

    def work(jobs: Sequence[int]) -> Sequence[int]:
        batches.append(list(jobs))
        go.wait(5)
        return [job * 10 for job in jobs]

    async def main() -> list[int]:
        batcher = Batcher(work, name="test", size=3)
        first = asyncio.create_task(batcher.do(0))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(batcher.do(job)) for job in range(1, 6)]
        await asyncio.sleep(0.05)
        go.set()
        answers = await asyncio.gather(first, *rest)
        await batcher.close()
        return answers

    assert asyncio.run(main()) == [0, 10, 20, 30, 40, 50]
    assert batches == [[0], [1, 2, 3], [4, 5]]


def test_the_first_of_a_batch_waits_for_others_as_long_as_stated():
    batches: list[int] = []

    async def main() -> None:
        batcher = Batcher(lambda jobs: batches.append(len(jobs)) or jobs, name="test", size=8, delay=0.05)
        await asyncio.gather(batcher.do(1), _later(0.01, batcher))
        await batcher.close()

    asyncio.run(main())
    assert batches == [2]


async def _later(seconds: float, batcher: Batcher[int, int]) -> int:
    await asyncio.sleep(seconds)
    return await batcher.do(2)


def test_a_batch_that_fails_fails_its_own_jobs_only():
    def work(jobs: Sequence[int]) -> Sequence[int]:
        if 1 in jobs:
            raise ValueError("one")
        return jobs

    async def main() -> list[object]:
        batcher = Batcher(work, name="test", size=1)
        answers = await asyncio.gather(*map(batcher.do, range(3)), return_exceptions=True)
        await batcher.close()
        return answers

    first, failed, last = asyncio.run(main())
    assert (first, last) == (0, 2)
    assert isinstance(failed, ValueError)


def test_a_job_with_too_much_work_ahead_is_shed():
    async def main() -> list[object]:
        batcher = Batcher(lambda jobs: time.sleep(0.05) or jobs, name="test", size=1, longest_wait=0.1)
        for _ in range(20):
            await batcher.do(0)
        answers = await asyncio.gather(*map(batcher.do, range(12)), return_exceptions=True)
        await batcher.close()
        return answers

    answers = asyncio.run(main())
    shed = [answer for answer in answers if isinstance(answer, Refusal)]
    assert 6 <= len(shed) <= 10
    assert {(refusal.status, refusal.retry_after) for refusal in shed} == {(503, 1)}


def test_what_is_ahead_counts_as_batches_and_not_as_jobs_that_were_alone():
    async def main() -> list[object]:
        batcher = Batcher(lambda jobs: time.sleep(0.02) or jobs, name="test", size=8, longest_wait=0.05)
        for _ in range(20):
            await batcher.do(0)  # alone, each has a batch's time
        answers = await asyncio.gather(*map(batcher.do, range(40)), return_exceptions=True)
        await batcher.close()
        return answers

    shed = [answer for answer in asyncio.run(main()) if isinstance(answer, Refusal)]
    assert 10 <= len(shed) <= 25  # of five batches, two and a half may wait


class Panic(BaseException):
    """What a native library raises, which is no Exception."""


def test_what_a_native_library_panics_with_fails_its_batch_and_no_more():
    def work(jobs: Sequence[int]) -> Sequence[int]:
        if jobs == [1]:
            raise Panic("index out of bounds")
        return jobs

    async def main() -> list[object]:
        batcher = Batcher(work, name="test", size=1)
        answers = await asyncio.gather(*map(batcher.do, range(3)), return_exceptions=True)
        await batcher.close()
        return answers

    first, failed, last = asyncio.run(main())
    assert (first, last) == (0, 2)
    assert "Panic: index out of bounds" in str(failed)


def test_jobs_that_nobody_waits_for_any_more_are_left_out():
    done: list[int] = []

    def work(jobs: Sequence[int]) -> Sequence[int]:
        done.extend(jobs)
        time.sleep(0.05)
        return jobs

    async def main() -> None:
        batcher = Batcher(work, name="test", size=1)
        first = asyncio.create_task(batcher.do(0))
        await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(batcher.do(1), 0.01)
        await first
        await batcher.close()

    asyncio.run(main())
    assert done == [0]
