"""The peers' own virtual environments, made once and never mixed with the project's, and their processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ALONE = {"fbgemm"}  # their packages' metadata asks for CUDA, so nothing but the requirements is installed

Ask = Callable[[str | None], Any]


def python(peer: str) -> Path:
    """The interpreter of a peer's virtual environment, which is made when it is not there.

    Args:
        peer: such as `"tfrs"`; `requirements-PEER.txt` says what to install.

    Returns:
        Path of the interpreter; `SHORTLIST_PEER_TFRS` (and so on) names a ready one instead.
    """
    if peer == "ours":  # measured in a process of its own, as the peers are
        return Path(sys.executable)
    ready = os.environ.get(f"SHORTLIST_PEER_{peer.upper()}")
    if ready:
        return Path(ready)
    folder = HERE.parent / "build" / "peers" / peer
    interpreter = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(interpreter), "-m", "pip", "install", "-q", *["--no-deps"] * (peer in ALONE)]
        subprocess.run([*install, "-r", str(HERE / f"requirements-{peer}.txt")], check=True)
        (folder / "complete").touch()
    return interpreter


@contextmanager
def started(peer: str, script: str, *arguments: object) -> Iterator[Ask]:
    """A peer's process that answers each line with a line of JSON.

    Args:
        peer: whose interpreter runs it.
        script: name of a file beside this one.
        *arguments: of the script.

    Returns:
        A function from a line, or None to wait for what it says unasked, to the answer.
    """
    command = [str(each) for each in (python(peer), HERE / script, *arguments)]
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(line: str | None) -> Any:
            if line is not None:
                print(line, file=process.stdin, flush=True)
            answer = process.stdout.readline()
            if not answer:
                errors.seek(0)
                raise RuntimeError(f"the peer ended:\n{errors.read()[-4000:]}")
            return json.loads(answer)

        yield ask
        process.stdin.close()
