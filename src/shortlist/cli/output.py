"""What commands print: results on standard output, messages on standard error, or one JSON document."""

from __future__ import annotations

import datetime
import json
import math
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_OF_FILES = 200  # columns where the output is no terminal: tables are not folded
SHOW_AFTER = 1.0  # seconds; what took longer is said where there is no terminal to show progress on


class Output:
    """Where a command says what it has to say.

    Args:
        json: whether standard output gets one JSON document and nothing else.
    """

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        self.warnings: list[str] = []

    @property
    def progress(self) -> bool:
        """Whether progress is shown: only to a person at a terminal."""
        return sys.stderr.isatty()

    def say(self, message: str) -> None:
        """Print a message on standard error."""
        self._print(_console(stderr=True), Text(message))

    def warn(self, message: str) -> None:
        """Print a warning on standard error; the JSON document lists it too."""
        self.warnings.append(message)
        self._print(_console(stderr=True), Text(f"warning: {message}", style="yellow"))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Say what goes on while it goes on; where nobody watches, only what took long, when it is done.

        Args:
            name: what is being done, such as `"reading events.csv"`.
        """
        started = time.perf_counter()
        if self.progress:
            with _console(stderr=True).status(Text(f"{name} …")):
                yield
            return
        yield
        seconds = time.perf_counter() - started
        if seconds >= SHOW_AFTER:
            self.say(f"{name}: {seconds:.0f} s")

    @contextmanager
    def training_step(self, name: str) -> Iterator[None]:
        """Say what goes on before it begins: work that may take long and draws progress bars of its own.

        Args:
            name: what is being done.
        """
        self.say(f"{name} …")
        yield

    def text(self, lines: str) -> None:
        """Print a part of the result for people."""
        if not self.json:
            self._print(_console(), Text(lines))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
        """Print a table of the result for people; columns of numbers are flush right.

        Args:
            columns: the heads.
            rows: one text a column.
            title: a line above.
        """
        if self.json:
            return
        table = Table(title=Text(title) if title else None, title_justify="left", title_style="")
        for place, name in enumerate(columns):
            numbers = bool(rows) and all(_looks_like_a_number(row[place]) for row in rows)
            table.add_column(Text(name), justify="right" if numbers else "left")
        for row in rows:
            table.add_row(*map(Text, row))
        self._print(_console(), table)

    def document(self, content: Mapping[str, Any]) -> None:
        """Print the result for machines.

        Args:
            content: of dicts, lists, texts and numbers; times become ISO 8601, what is no number null.
        """
        if self.json:
            sys.stdout.write(json.dumps(plain(content), allow_nan=False, indent=2) + "\n")

    def next(self, *command: str) -> None:
        """End with the next command to try.

        Args:
            command: its words, as a shell would pass them.
        """
        if not self.json:
            self.say(f"next: {shlex.join(command)}")

    def _print(self, console: Console, what: Text | Table) -> None:
        console.print(what, soft_wrap=isinstance(what, Text))


def plain(value: Any) -> Any:
    """A value in a form that JSON can hold.

    Args:
        value: anything that a cell of a table can hold.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if hasattr(value, "__iter__") and not isinstance(value, bytes):
        return [plain(each) for each in value]
    return str(value)


def _console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else WIDTH_OF_FILES)


def _looks_like_a_number(text: str) -> bool:
    return text.strip("-–%").replace(".", "").replace(",", "").isdigit() or text in ("", "-", "–")
