"""What happens, as lines of JSON: one an answer, one a message of the log."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

STDERR = Path("-")
LOGGERS = (logging.getLogger("shortlist"), logging.getLogger("uvicorn"))


class JsonLines(logging.Handler):
    """Writes lines of JSON; several processes may write into one file.

    While it is open, messages of shortlist and of the HTTP server go there alone. A line that cannot be
    written, for a full disk, is lost: the server goes on.

    Args:
        path: of the file, which is added to; `-` is the standard error.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._file = os.dup(sys.stderr.fileno()) if path == STDERR else os.open(path, flags, 0o640)
        self._encoder = msgspec.json.Encoder(enc_hook=str)
        self._before = [(each, each.propagate, each.level) for each in LOGGERS]
        for each in LOGGERS:
            each.addHandler(self)
            each.propagate = False
        LOGGERS[0].setLevel(logging.INFO)

    def write(self, message: str, *, level: str = "info", **facts: Any) -> None:
        """Write a line.

        Args:
            message: what happened.
            level: how bad it is.
            **facts: further values, those that are None left out.
        """
        line = {"time": round(time.time(), 3), "level": level, "pid": os.getpid(), "message": message}
        line |= {name: value for name, value in facts.items() if value is not None}
        with contextlib.suppress(OSError):
            os.write(self._file, self._encoder.encode(line) + b"\n")  # one call, so that lines do not mix

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message of the log."""
        try:
            trace = None
            if record.exc_info and record.levelno >= logging.ERROR:
                trace = logging.Formatter().formatException(record.exc_info)
            request_id = getattr(record, "request_id", None)
            level = record.levelname.lower()
            self.write(record.getMessage(), level=level, request_id=request_id, traceback=trace)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Let go of the file, and of the log."""
        if self._file >= 0:
            for logger, propagate, level in self._before:
                logger.removeHandler(self)
                logger.propagate = propagate
                logger.setLevel(level)
            os.close(self._file)
            self._file = -1
        super().close()
