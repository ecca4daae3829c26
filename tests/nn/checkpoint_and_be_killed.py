"""Trains a dynamic table, saves a checkpoint after every step, and is killed, again and again.

Run with a folder. Prints a JSON line a kill: what the killed process had said, `saving DIGEST` before a
checkpoint and `saved DIGEST` once it was acknowledged, and the digest of what the folder then restores to.
First, each of many processes is killed at the first, second, ... use of the file system that changes
something; then some go on from where the one before was killed, until a moment chosen at random.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nn.dynamic_cases import train

from shortlist.nn import DynamicEmbedding, TableCheckpoints
from shortlist.training import Adagrad

EVENTS = ("open", "os.rename", "os.remove")
MOMENTS = 25


def make() -> DynamicEmbedding:
    """The table, empty."""
    return DynamicEmbedding(3, admit_after=2, shared_rows=4)


def digest(table: DynamicEmbedding) -> str:
    """Of all that the table holds."""
    sums = hashlib.sha256()
    for name, value in sorted(table.state_dict().items()):
        sums.update(name.encode() + value.numpy().tobytes())
    return sums.hexdigest()[:16]


def run(folder: Path, steps: int) -> None:
    """Go on from the last checkpoint, if there is one."""
    table, checkpoints = make(), TableCheckpoints(folder, max_deltas=1)
    if any(path.suffix == ".rows" for path in folder.iterdir()):
        checkpoints.restore(table)
    optimizer = Adagrad(table.parameters(), lr=0.1)
    for step in range(table.table.clock, table.table.clock + steps):
        train(table, optimizer, range(step, step + 1), span=200)
        if step % 3 == 2:
            table.evict(unseen_for=5)
        print("saving", digest(table), flush=True)
        checkpoints.save(table)
        print("saved", digest(table), flush=True)


def run_until(folder: Path, number: int) -> None:
    """Be killed with SIGKILL just before the given use of the file system."""
    left = number

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        changes = event != "open" or "r" not in str(arguments[1])
        if event in EVENTS and changes and str(folder) in str(arguments[0]):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    run(folder, steps=4)


def killed(folder: Path, work: Callable[[], None], wait: tuple[int, float] | None) -> bool:
    """Do some work in a child process, kill it so many lines and seconds later, and print what is left."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writes, 1)
        work()
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as stream:
        said = [] if wait is None else [next(stream) for _ in range(wait[0])]
        if wait is not None:
            time.sleep(wait[1])
            os.kill(child, signal.SIGKILL)
        said = [line.strip() for line in (*said, *stream) if line.endswith("\n")]
    was_killed = os.waitpid(child, 0)[1] != 0
    table, found = make(), ""
    if any(path.suffix == ".rows" for path in folder.iterdir()):
        TableCheckpoints(folder).restore(table)
        found = digest(table)
    line = {"said": said, "found": found, "killed": was_killed, "random": wait is not None}
    print(json.dumps(line), flush=True)
    return was_killed


def main(folder: Path) -> None:
    """Kill at every change of the disk in turn, then at random."""
    Adagrad(make().parameters()).step()  # imports what each of the children would import
    number = 0
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if not killed(folder, lambda number=number: run_until(folder, number), None):  # type: ignore[misc]
            break
        number += 1
    chance = random.Random(0)
    for _ in range(MOMENTS):
        killed(folder, lambda: run(folder, steps=10**9), (chance.randint(1, 6), chance.uniform(0, 0.02)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
