"""Several processes behind one socket: started, watched, told to stop."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import shortlist.errors
from shortlist.errors import ConfigError, Error
from shortlist.serving.settings import ServerSettings

RESTART_SECONDS = 1.0  # before a worker that has ended is started again
LOOK_SECONDS = 0.1  # between two looks at the workers
PATIENCE_SECONDS = 5.0  # beyond the draining, after which a worker is killed
WORDS = 1 << 16  # bytes of what an ended worker said that are looked at

log = logging.getLogger("shortlist.serving")


class Workers:
    """The processes of a server.

    Each maps the same files of the bundle into its memory, which therefore holds them once.

    Args:
        bundle: folder of the bundle.
        settings: how the server runs.
        listening: the socket that all of them take connections from.
    """

    def __init__(self, bundle: Path, settings: ServerSettings, listening: socket.socket) -> None:
        self.bundle, self.settings, self.listening = bundle, settings, listening
        self._stopping = threading.Event()
        self._processes: dict[int, subprocess.Popen[str]] = {}

    def run(self, started: Callable[[], None]) -> None:
        """Start the workers, start again those that end, and stop all when told to.

        Args:
            started: called when all of them answer.

        Raises:
            Error: a worker cannot start.
        """
        before = {each: signal.signal(each, self._stop) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            with TemporaryDirectory(prefix="shortlist-") as folder:
                try:
                    self._start_all(Path(folder))
                    if not self._stopping.is_set():
                        started()
                    self._watch(Path(folder))
                finally:
                    self._end_all()
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _stop(self, *signal_: Any) -> None:
        self._stopping.set()
        self.listening.close()  # else who comes now would wait for nobody
        for process in self._processes.values():
            process.terminate()

    def _start_all(self, folder: Path) -> None:
        """Start the first alone, which brings the store to this version's form, then the others."""
        numbers = range(self.settings.workers)
        for some in (numbers[:1], numbers[1:]):
            if self._stopping.is_set():
                return
            for number in some:
                self._start(folder, number)
            for number in some:
                self._wait_for(number)

    def _start(self, folder: Path, number: int) -> None:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
        listening = self.listening.fileno()  # asked once, since a signal may close it at any moment
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "shortlist.serving.http.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            pass_fds=[listening],
            start_new_session=True,  # Ctrl-C reaches this process alone, which tells the others
        )
        self._processes[number] = process
        told = {
            "bundle": str(self.bundle),
            "settings": {
                **asdict(self.settings),
                "bundles": self.settings.bundles or self.bundle.resolve().parent,
            },
            "socket": listening,
            "folder": str(folder),
            "number": number,
        }
        assert process.stdin is not None
        process.stdin.write(json.dumps(told, default=str) + "\n")
        process.stdin.flush()  # and left open: its end tells the worker that this process has gone

    def _wait_for(self, number: int) -> None:
        """Wait until a worker answers.

        Raises:
            Error: what it failed of.
        """
        process = self._processes[number]
        assert process.stdout is not None
        line = process.stdout.readline()
        if self._stopping.is_set():
            return
        said = json.loads(line) if line else {}
        if not said.get("ready"):
            raise _error(said)

    def _watch(self, folder: Path) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            for number, process in list(self._processes.items()):
                if process.poll() is None or self._stopping.is_set():
                    continue
                reason = last_words(process)
                log.error(
                    "worker %d has ended with %d%s; another is started", number, process.returncode, reason
                )
                if not self._stopping.wait(RESTART_SECONDS):
                    self._start_again(folder, number)

    def _start_again(self, folder: Path, number: int) -> None:
        """Start a worker; where that fails, the others go on, and the next look tries again."""
        try:
            self._start(folder, number)
        except (OSError, ValueError) as error:  # there is no memory, or the socket was closed just now
            if not self._stopping.is_set():
                log.error("worker %d cannot be started: %s", number, error)

    def _end_all(self) -> None:
        for process in self._processes.values():
            process.terminate()
        end = time.monotonic() + self.settings.drain_seconds + PATIENCE_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def last_words(process: subprocess.Popen[str]) -> str:
    """What a worker that has ended failed of, to follow a message of the log; `""` where it did not say.

    Args:
        process: that has ended.
    """
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)  # something that the worker started may hold the other end still
    try:
        *_, last = os.read(pipe, WORDS).splitlines()
        said = json.loads(last)
        return f": {_error(said)}" if "what" in said else ""
    except (OSError, ValueError, TypeError):
        return ""


def _error(said: dict[str, Any]) -> Error:
    """What a worker failed of, as the error that it was there."""
    kind = getattr(shortlist.errors, said.get("kind", ""), ConfigError)
    what = said.get("what", "a worker has ended before it answered")
    error: Error = kind(what, where=said.get("where", ""), remedy=said.get("remedy", "look at the log"))
    return error
