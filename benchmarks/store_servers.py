"""PostgreSQL and Redis on loopback, each in a folder of its own, to be stopped and killed at will."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

START_SECONDS = 20.0
ADDRESS = "127.0.0.1"


class StoreServer(ABC):
    """A database server of its own.

    Args:
        folder: an empty folder.
        program: the server's.
    """

    def __init__(self, folder: Path, program: str) -> None:
        self.folder, self.program = folder, program
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root.
        self.user = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.chown(folder, self.user)

    @property
    @abstractmethod
    def address(self) -> str:
        """For `open_store`."""

    @abstractmethod
    def command(self) -> list[str]:
        """Starts the server in the foreground."""

    def start(self) -> None:
        """Start, and wait until connections are taken.

        A server that gives up is started again, as a supervisor would: PostgreSQL refuses to begin while a
        process of the one before has not gone yet.
        """
        end = time.monotonic() + START_SECONDS
        self.process = self._run(self.command())
        while not self.answers():
            if time.monotonic() > end:
                raise RuntimeError(f"{self.program} does not start; see {self.folder / 'log'}")
            if self.process.poll() is not None:
                self.process = self._run(self.command())
            time.sleep(0.02)

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server answers."""

    def kill(self) -> None:
        """End all of the server's processes with SIGKILL."""
        if self.process is None or self.process.poll() is not None:
            return
        # The children of PostgreSQL have sessions of their own.
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for child in children.read_text().split() if children.exists() else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        self.process.kill()
        self.process.wait(START_SECONDS)

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        # Temporary folders are closed to others, and each run of pytest closes that of all runs again.
        for parent in self.folder.parents:
            if os.getuid() == 0 and parent.stat().st_uid == 0 and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True, user=self.user
            )


class Postgres(StoreServer):
    """A PostgreSQL server with one database."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, _postgres("postgres"))
        command = [
            _postgres("initdb"),
            "-D",
            str(folder / "data"),
            "-U",
            "shortlist",
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        if self._run([*command, "--locale=C", "--no-sync"]).wait() != 0:
            raise RuntimeError(f"initdb fails; see {folder / 'log'}")

    @property
    def address(self) -> str:
        """For `open_store`."""
        return f"postgresql://shortlist@{ADDRESS}:{self.port}/postgres"

    def command(self) -> list[str]:
        """Starts the server in the foreground."""
        settings = {"listen_addresses": ADDRESS, "port": self.port, "unix_socket_directories": ""}
        settings |= {"shared_buffers": "16MB", "max_connections": 20, "recovery_init_sync_method": "syncfs"}
        given = [f"-c{name}={value}" for name, value in settings.items()]
        return [self.program, "-D", str(self.folder / "data"), *given]

    def answers(self) -> bool:
        """Whether the server takes queries."""
        import psycopg

        try:
            psycopg.connect(self.address, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class Redis(StoreServer):
    """A Redis server that syncs its append-only file before each answer."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, shutil.which("redis-server") or "")

    @property
    def address(self) -> str:
        """For `open_store`."""
        return f"redis://{ADDRESS}:{self.port}/0"

    def command(self) -> list[str]:
        """Starts the server in the foreground."""
        settings = {"bind": ADDRESS, "port": self.port, "dir": self.folder, "save": ""}
        settings |= {"appendonly": "yes", "appendfsync": "always"}
        return [
            self.program,
            *(part for name, value in settings.items() for part in (f"--{name}", str(value))),
        ]

    def answers(self) -> bool:
        """Whether the server has read its file."""
        import redis

        try:
            with redis.Redis.from_url(self.address, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


KINDS: dict[str, type[Postgres | Redis]] = {"postgres": Postgres, "redis": Redis}


def missing(kind: str) -> str:
    """Why a server cannot be started here, or an empty text.

    Args:
        kind: `"postgres"` or `"redis"`.
    """
    if kind == "postgres":
        found = all(Path(_postgres(name)).is_file() for name in ("postgres", "initdb"))
    else:
        found = shutil.which("redis-server") is not None
    package = "postgresql" if kind == "postgres" else "redis-server"
    return "" if found else f"there is no {kind} server: apt-get install {package}"


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def _postgres(name: str) -> str:
    """A program of PostgreSQL; Debian keeps them out of the search path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name))
    return str(folders[-1] / name) if folders else shutil.which(name) or name
