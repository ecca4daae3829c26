"""The workers of one server: processes that answer from the same bundle."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from shortlist.serving.bundles.shelf import Shelf
from shortlist.serving.refusal import Refusal
from shortlist.serving.schemas.api import Bundles

ORDER, LOCK = "order.json", "lock"
LOOK_SECONDS = 0.05  # between two looks at whether the others have followed
FOLLOW_SECONDS = 60.0  # that the others have to take up a bundle


@dataclass(frozen=True)
class Order:
    """What all workers are to answer from.

    Args:
        number: grows with each order.
        path: of the bundle.
        rollback: whether it is the bundle before, which need not be read again.
    """

    number: int
    path: str
    rollback: bool


class Fleet:
    """One worker among others.

    The worker that is told to change its bundle does so, writes down what it did, and waits for the others.

    Args:
        folder: that the workers share.
        number: of this worker.
        workers: how many there are.
    """

    def __init__(self, folder: Path, number: int, workers: int) -> None:
        self.folder, self.number, self.workers = folder, number, workers
        self.first = self.order()  # that a worker which starts later starts from
        self._changing = threading.Lock()
        self._say_done(0 if self.first is None else self.first.number)

    def order(self) -> Order | None:
        """The last order, or None."""
        try:
            return Order(**json.loads((self.folder / ORDER).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def change(self, shelf: Shelf, path: str | None) -> Bundles:
        """Take up a bundle here, then everywhere.

        Args:
            shelf: of this worker.
            path: of the bundle; None goes back to the one before.

        Raises:
            Error: it cannot be used; nothing has changed.
            Refusal: a worker has not taken it up in time; it goes on trying.
        """
        with self._alone():
            self.follow(shelf)
            with self._changing:
                bundles = shelf.roll_back() if path is None else shelf.use(path)
                order = Order(self._done + 1, bundles.path, path is None)
                _write(self.folder / ORDER, json.dumps(asdict(order)))
                self._say_done(order.number)
            self._wait(order.number)
        return bundles

    def follow(self, shelf: Shelf) -> None:
        """Take up what another worker was told.

        Args:
            shelf: of this worker.

        Raises:
            BundleError: the bundle has been damaged since.
        """
        with self._changing:
            order = self.order()
            if order is None or order.number == self._done:
                return
            if order.rollback and shelf.previous_path == order.path:
                shelf.roll_back()
            else:
                shelf.use(order.path)
            self._say_done(order.number)

    def _say_done(self, number: int) -> None:
        self._done = number
        _write(self.folder / f"worker-{self.number}", str(number))

    def _wait(self, number: int) -> None:
        end = time.monotonic() + FOLLOW_SECONDS
        while not all(self._number_of(worker) >= number for worker in range(self.workers)):
            if time.monotonic() > end:
                raise Refusal(503, "not every worker has taken up the bundle yet", remedy="look at the log")
            time.sleep(LOOK_SECONDS)

    def _number_of(self, worker: int) -> int:
        try:
            return int((self.folder / f"worker-{worker}").read_text())
        except FileNotFoundError:
            return 0

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One worker gives an order at a time."""
        with (self.folder / LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _write(file: Path, text: str) -> None:
    """Write a file that is whole whenever it is read."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, file)
