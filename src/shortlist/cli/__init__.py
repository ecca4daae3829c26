"""The command line: `shortlist init`, `train`, `evaluate`, `recommend`, `serve`, `export` and `demo`."""

from __future__ import annotations

import sys

from shortlist.cli.commands import app

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line on the arguments of the process, and exit with its code."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # titles print on any terminal
    app(prog_name="shortlist")
