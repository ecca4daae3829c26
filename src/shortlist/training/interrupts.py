"""Ctrl-C waits for the step under way, so that what a checkpoint then saves is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class InterruptGuard:
    """Holds SIGINT back inside its `with` blocks and raises KeyboardInterrupt at their end.

    A second Ctrl-C inside a block is raised at once. Only Python's own handler is replaced, and only
    in the main thread: a program that handles SIGINT itself goes on doing so.

    Attributes:
        is_torn: whether an error left a block, so that what it was doing may be half done.
    """

    def __init__(self) -> None:
        self.is_torn = False
        self._busy = False
        self._pending = False
        self._installed = False

    def install(self) -> None:
        """Take over SIGINT until `remove`."""
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._receive)
            self._installed = True

    def remove(self) -> None:
        """Give SIGINT back to Python."""
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._installed = False

    def __enter__(self) -> Self:
        self._busy = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._busy = False
        self.is_torn = self.is_torn or error is not None
        if self._pending and error is None:
            self._pending = False
            raise KeyboardInterrupt

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if not self._busy or self._pending:
            raise KeyboardInterrupt
        self._pending = True
