"""Saves a sealed folder in child processes that kill themselves at the n-th use of the file system.

Run with the folder to save into; prints one JSON line a kill: what was being done, and what a reader
then finds: the contents, null where there is no folder, or an error.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from shortlist.data.sealed_folder import read_manifest, writing
from shortlist.errors import BundleError

EVENTS = ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove")
FORMAT = {"format": "test", "version": 1}


def save(target: Path, content: str) -> None:
    """Write three files that all hold the same."""
    with writing(target, **FORMAT, facts={"content": content}) as folder:
        (folder / "part").mkdir()
        for name in ("one.txt", "part/two.txt", "three.txt"):
            (folder / name).write_text(content)


def read(target: Path) -> str | None:
    """What a reader finds."""
    if not target.exists():
        return None
    try:
        content = read_manifest(target, **FORMAT)["content"]
    except BundleError as error:
        return f"damaged: {error}"
    files = [(target / name).read_text() for name in ("one.txt", "part/two.txt", "three.txt")]
    return content if files == [content] * 3 else f"half: {content} {files}"


def save_until(target: Path, number: int) -> None:
    """Save, but be killed with SIGKILL just before the given use of the file system."""
    left = number

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in EVENTS:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    save(target, "new")


def main(target: Path) -> None:
    """Kill at every use of the file system in turn, until one save comes to its end."""
    for old in (False, True):
        number, killed = 0, True
        while killed:
            for litter in target.parent.iterdir():
                shutil.rmtree(litter)
            if old:
                save(target, "old")
            child = os.fork()
            if child == 0:
                save_until(target, number)
                os._exit(0)
            killed = os.waitpid(child, 0)[1] != 0
            print(json.dumps({"old": old, "number": number, "killed": killed, "found": read(target)}))
            number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
