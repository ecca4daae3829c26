"""How a server runs."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from shortlist.errors import ConfigError


@dataclass(frozen=True)
class ServerSettings:
    """How a server runs.

    Args:
        host: address to listen on; any but loopback needs `keys`.
        port: to listen on; 0 takes a free one.
        store: address of the store; see `open_store`.
        keys: file of API keys, which `shortlist keys create` writes; None lets everybody on this machine in.
        bundles: folder that other bundles may be loaded from; by default that of the first bundle.
        audit: file that every change by an administrator is noted in; None notes it in the log.
        batch_size: requests that are answered together at most.
        batch_delay: seconds that the first of a batch waits for others; 0 gathers what comes while the batch
            before is being answered.
        budget: seconds that an answer may take; what does not fit is cut, and the answer says so.
        longest_wait: seconds that a request may have to wait for others, as the last batches took; above, it
            is shed, unless nobody waits before it.
        max_body: bytes of a request's body.
        max_requests: requests in progress; above, they are shed.
        rate: requests a second of one key, or of one address without keys; None does not limit.
        body_seconds: time in which a request's body must have come.
        drain_seconds: time that requests in progress have when the server is told to stop.
        model_name: what clients of TensorFlow Serving and KServe call the funnel.
        workers: processes that answer; above 1, limits of rate and of requests hold for each.
        tls_cert: file of a certificate in PEM, with which the server speaks TLS; None speaks plain HTTP.
        tls_key: file of the certificate's private key; None where the first file holds it too.
        log: file that a line of JSON goes to for every answer and every message; `-` is the standard error.
            None logs messages alone, as text.
        trace: whether spans are sent to a collector of OpenTelemetry.

    Raises:
        ConfigError: a number is out of range, or the host is open to others and there are no keys.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    store: str = "sqlite:///store.db"
    keys: Path | None = None
    bundles: Path | None = None
    audit: Path | None = None
    batch_size: int = 32
    batch_delay: float = 0.0
    budget: float = 0.2
    longest_wait: float = 0.05
    max_body: int = 1 << 20
    max_requests: int = 256
    rate: float | None = None
    body_seconds: float = 10.0
    drain_seconds: float = 10.0
    model_name: str = "default"
    workers: int = 1
    tls_cert: Path | None = None
    tls_key: Path | None = None
    log: Path | None = None
    trace: bool = False

    def __post_init__(self) -> None:
        for name in ("batch_size", "budget", "longest_wait", "max_body", "max_requests", "body_seconds"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)!r}", remedy="give a number above 0")
        if not 0 <= self.port < 65536:
            raise ConfigError(f"port is {self.port!r}", remedy="give a number from 0 to 65535")
        if self.workers < 1:
            raise ConfigError(f"workers is {self.workers!r}", remedy="give a number from 1")
        if self.tls_key is not None and self.tls_cert is None:
            raise ConfigError("tls_key is given without tls_cert", remedy="give both")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", self.model_name):
            raise ConfigError(
                f"model_name is {self.model_name!r}",
                remedy="give letters, digits, dots, dashes and underscores",
            )
        if self.batch_delay < 0 or (self.rate is not None and not self.rate > 0):
            raise ConfigError("batch_delay and rate must not be negative", remedy="leave them out")
        if self.keys is None and not self.is_loopback:
            raise ConfigError(
                f"host {self.host!r} is open to other machines, and there are no API keys",
                remedy="make some with `shortlist keys create`, and pass --keys; or listen on 127.0.0.1",
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
