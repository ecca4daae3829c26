"""The peers' own virtual environments, made once and never mixed with the project's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def python(peer: str) -> Path:
    """The interpreter of a peer's virtual environment, which is made when it is not there.

    Args:
        peer: such as `"tfrs"`; `requirements-PEER.txt` says what to install.

    Returns:
        Path of the interpreter; `SHORTLIST_PEER_TFRS` (and so on) names a ready one instead.
    """
    ready = os.environ.get(f"SHORTLIST_PEER_{peer.upper()}")
    if ready:
        return Path(ready)
    folder = HERE.parent / "build" / "peers" / peer
    interpreter = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        requirements = HERE / f"requirements-{peer}.txt"
        subprocess.run([str(interpreter), "-m", "pip", "install", "-q", "-r", str(requirements)], check=True)
        (folder / "complete").touch()
    return interpreter
