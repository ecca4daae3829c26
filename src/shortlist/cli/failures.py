"""How commands end when something goes wrong: one line that says what to do, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from shortlist.cli.output import Output
from shortlist.errors import Error

MISTAKE = 1  # in the data, the files or the configuration; wrong usage is 2, which typer finds itself
INTERRUPTED = 130  # what shells answer after Ctrl-C


@contextmanager
def reporting(*, json: bool = False, debug: bool = False) -> Iterator[Output]:
    """Run a command's work; what it raises becomes a line on standard error and an exit code.

    Args:
        json: whether the result is one JSON document; a failure is then one too, under `"error"`.
        debug: whether the traceback is shown.

    Yields:
        Where the command prints.

    Raises:
        typer.Exit: with code 1 after an error, 130 after Ctrl-C.
    """
    output = Output(json=json)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *rest: output.warn(str(message))
            yield output
        sys.stdout.flush()
    except (typer.Exit, SystemExit):
        raise
    except KeyboardInterrupt:
        output.say("interrupted; nothing was written")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        _let_go_of_stdout()
        raise typer.Exit(MISTAKE) from None
    except BaseException as error:  # what a native library panics with is no Exception
        if debug:
            traceback.print_exc()
        problem = described(error)
        output.say(f"error: {problem['message']}")
        output.document({"error": problem})
        raise typer.Exit(MISTAKE) from None


def described(error: BaseException) -> dict[str, Any]:
    """An error in the form that `--json` prints.

    Args:
        error: one that shortlist raises on purpose, or any other.

    Returns:
        `kind`, `message` and, for an error on purpose, `what`, `where` and `remedy`.
    """
    kind = type(error).__name__
    if isinstance(error, Error):
        parts = {"what": error.what, "where": error.where, "remedy": error.remedy}
        return {"kind": kind, "message": _one_line(str(error)), **parts}
    if isinstance(error, MemoryError) or "not enough memory" in str(error):
        message = "there is not enough memory; use less data, a smaller dim or fewer candidates"
    elif isinstance(error, OSError) and error.strerror:
        message = f"{error.filename or 'a file'}: {error.strerror}"
    else:
        said = _one_line(str(error))
        message = f"internal error: {kind}{': ' if said else ''}{said}; run again with --debug"
    return {"kind": kind, "message": message}


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _let_go_of_stdout() -> None:
    """Whoever read the output has gone; without this, Python complains once more when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
