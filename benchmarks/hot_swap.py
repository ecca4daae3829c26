"""Bundles swapped under load: no request fails, and no answer mixes two bundles."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure
from benchmarks.serving import FEW, QUICK_USERS, save_funnel, serving
from shortlist.serving.loadtest import FAILURES, OK, Connection, Sent, Target

SWAPS, QUICK_SWAPS = 100, 5
ASKING = 4  # connections
USERS = 50  # whose lists are compared
CLOSE = 1e-4  # by which a score may differ, since sums depend on which requests come together
PATIENT = (
    "--budget",
    "30",
    "--longest-wait",
    "30",
)  # a machine that is busy sheds, which is no matter of swaps


@dataclass
class Outcome:
    """What swaps under load showed.

    Args:
        swaps: how many.
        answers: lists that came meanwhile.
        failed: requests with another answer or none, by what came.
        mixed: lists that are not those of the bundle that they name.
        bundles: that lists named.
    """

    swaps: int = 0
    answers: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    mixed: int = 0
    bundles: set[str] = field(default_factory=set)


def run(*, quick: bool) -> list[Figure]:
    """Two bundles of one funnel with different tables, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(("one", "two")):
            save_funnel(Path(folder) / name, FEW, QUICK_USERS, seed=number)
        with serving(Path(folder) / "one", Path(folder), *PATIENT) as (port, _):
            found = swap_under_load(port, ("one", "two"), swaps=QUICK_SWAPS if quick else SWAPS)
    print(dict(found.failed))
    return [
        Figure("swaps", found.swaps, "", None if quick else SWAPS),
        Figure("swap_answers", found.answers),
        Figure("swap_failed_requests", found.failed.total(), "", 0, at_least=False),
        Figure("swap_mixed_answers", found.mixed, "", 0, at_least=False),
    ]


def swap_under_load(
    port: int, paths: Sequence[str], *, swaps: int, users: Sequence[Any] = range(USERS), asking: int = ASKING
) -> Outcome:
    """Swap bundles while users ask, and compare each list with that of the bundle that it names.

    Args:
        port: of a server that has the first of the bundles.
        paths: of two bundles.
        swaps: how many times.
        users: who ask.
        asking: connections.
    """
    return asyncio.run(_swap_under_load(Target("127.0.0.1", port), paths, swaps, users, asking))


async def _swap_under_load(
    target: Target, paths: Sequence[str], swaps: int, users: Sequence[Any], asking: int
) -> Outcome:
    outcome, admin = Outcome(), Connection(target)
    expected: dict[tuple[str, Any], dict[str, Any]] = {}
    for path in (*paths, paths[0]):
        await _swap(admin, path)
        for user in users:
            answer = await _ask(admin, user)
            expected[answer["bundle"], user] = answer
    done = asyncio.Event()

    async def ask(seed: int) -> None:
        draw, connection = random.Random(seed), Connection(target)
        while not done.is_set():
            user = draw.choice(users)
            try:
                answer = await _ask(connection, user)
            except (RuntimeError, *FAILURES) as error:
                outcome.failed[str(error)[:80] or type(error).__name__] += 1
                continue
            outcome.answers += 1
            outcome.bundles.add(answer["bundle"])
            outcome.mixed += not _same(answer, expected.get((answer["bundle"], user)))
        connection.close()

    tasks = [asyncio.create_task(ask(seed)) for seed in range(asking)]
    for number in range(swaps):
        await _swap(admin, paths[(number + 1) % 2])
        outcome.swaps += 1
    done.set()
    await asyncio.gather(*tasks)
    admin.close()
    return outcome


async def _swap(connection: Connection, path: str) -> None:
    status, content = await connection.send(Sent(0.0, json.dumps({"path": path}).encode(), "/v1/bundles"))
    if status != OK:
        raise RuntimeError(f"{status}: {content[:300]!r}")


async def _ask(connection: Connection, user: Any) -> dict[str, Any]:
    status, content = await connection.send(Sent(0.0, json.dumps({"user": user}).encode()))
    answer: dict[str, Any] = json.loads(content)
    if status != OK or answer.get("fallback") or answer.get("cut"):
        raise RuntimeError(f"{status}: {content[:300]!r}")
    return answer


def _same(answer: dict[str, Any], expected: dict[str, Any] | None) -> bool:
    if expected is None or len(answer["scores"]) != len(expected["scores"]):
        return False
    close = all(
        abs(one - other) <= CLOSE * max(1.0, abs(other))
        for one, other in zip(answer["scores"], expected["scores"], strict=True)
    )
    return close and set(answer["items"]) == set(expected["items"])
