"""One of several processes of a server; `workers` starts it and tells it what to do on its standard input."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from shortlist.errors import Error
from shortlist.serving.bundles.fleet import Fleet
from shortlist.serving.http.server import answer
from shortlist.serving.settings import ServerSettings

PATHS = ("keys", "bundles", "audit", "log", "tls_cert", "tls_key")


def main() -> None:
    """Answer requests until told to stop, or until the process that started this one has gone."""
    told = json.loads(sys.stdin.readline())
    threading.Thread(target=_stop_at_the_end_of_input, daemon=True).start()
    settings = _settings(told["settings"])
    fleet = Fleet(Path(told["folder"]), told["number"], settings.workers)
    bundle = told["bundle"] if fleet.first is None else fleet.first.path
    try:
        answer(
            bundle,
            settings,
            socket.socket(fileno=told["socket"]),
            fleet=fleet,
            started=lambda: _say(ready=True),
        )
    except Error as error:
        _say(kind=type(error).__name__, what=error.what, where=error.where, remedy=error.remedy)
        sys.exit(1)


def _settings(values: dict[str, Any]) -> ServerSettings:
    paths = {name: Path(values[name]) for name in PATHS if values[name] is not None}
    return ServerSettings(**(values | paths))


def _say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def _stop_at_the_end_of_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
