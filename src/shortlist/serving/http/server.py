"""`serve`: the application on a socket, until it is told to stop."""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from shortlist.errors import ConfigError
from shortlist.serving.bundles.fleet import Fleet
from shortlist.serving.http.app import application
from shortlist.serving.http.protocol import Protocol
from shortlist.serving.http.turned_away import TurnedAway
from shortlist.serving.http.workers import Workers
from shortlist.serving.security.tls import tls_context
from shortlist.serving.service import Service
from shortlist.serving.settings import ServerSettings

BACKLOG = 2048  # connections that wait to be taken
IDLE_SECONDS = 20  # that a connection without a request stays open
# After which a thread must let another one run. The thread that answers gives way at every call into native
# code; with Python's own 5 ms it would wait that long each time to go on while other requests come in. Even
# with a fifth of a millisecond, one answer in six was left under a flood of requests.
SWITCH_SECONDS = 0.00001


def serve(
    bundle: str | Path,
    settings: ServerSettings | None = None,
    *,
    started: Callable[[str], None] = lambda address: None,
) -> None:
    """Answer requests until the process gets SIGTERM or SIGINT; those in progress are finished first.

    Args:
        bundle: folder of a bundle.
        settings: how the server runs.
        started: called with the address, such as `"http://127.0.0.1:8000"`, once requests can be sent there.

    Raises:
        BundleError: the bundle cannot be used.
        StoreError: the store cannot be opened.
        ConfigError: the address is taken, or the settings do not fit together.
    """
    settings = ServerSettings() if settings is None else settings
    if settings.tls_cert is not None:
        tls_context(
            settings.tls_cert, settings.tls_key
        )  # before anything slow, so that a mistake is told at once
    listening = _listen(settings)
    host, port = listening.getsockname()[:2]
    scheme = "http" if settings.tls_cert is None else "https"
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    if settings.workers > 1:
        Workers(Path(bundle), settings, listening).run(lambda: started(address))
    else:
        answer(bundle, settings, listening, started=lambda: started(address))


def answer(
    bundle: str | Path,
    settings: ServerSettings,
    listening: socket.socket,
    *,
    started: Callable[[], None],
    fleet: Fleet | None = None,
) -> None:
    """Answer the requests of a socket in this process.

    Args:
        bundle: folder of a bundle.
        settings: how the server runs.
        listening: the socket.
        started: called once requests are answered.
        fleet: the workers that this process is one of, or None.
    """
    import torch

    # Requests are small: threads of one request would only wait for each other.
    torch.set_num_threads(1)
    sys.setswitchinterval(SWITCH_SECONDS)
    service = Service(bundle, settings, fleet)
    gc.collect()
    gc.freeze()  # a bundle stays: going through it again would stop all answers in the meantime
    config = uvicorn.Config(
        application(service),
        log_config=None,  # which would take the log away from whoever has set it up
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=int(settings.drain_seconds),
        backlog=BACKLOG,
        lifespan="on",
    )
    config.load()
    config.http_protocol_class = partial(Protocol, turned_away=TurnedAway(service))  # type: ignore[assignment]
    if settings.tls_cert is not None:
        config.ssl = tls_context(settings.tls_cert, settings.tls_key)
    _Server(config, service, started).run(sockets=[listening])
    gc.unfreeze()


class _Server(uvicorn.Server):
    """Uvicorn's server, which says when it answers, and tells the service at once that it is to stop."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.service, self.ready = service, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            self.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to stop: no more requests are promised to be answered."""
        self.service.draining = True
        super().handle_exit(sig, frame)


def _listen(settings: ServerSettings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen(BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}",
            remedy="choose another --port",
        ) from error
    return listening
