"""API keys: who may do what. Only hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from shortlist.errors import ConfigError, did_you_mean

log = logging.getLogger("shortlist.serving")

SCOPES = ("recommend", "events", "items", "users", "bundles", "metrics", "inspect")
PREFIX = "sl"
SECRET_BYTES = 32  # drawn at random, so that a plain hash is as good as a slow one


@dataclass(frozen=True)
class Key:
    """An API key without its secret.

    Args:
        id: its public part.
        name: whose it is.
        scopes: what it may do.
        sha256: hash of the secret.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    sha256: str


class KeyFile:
    """The API keys of a file.

    Args:
        path: of the file; it need not be there.

    Raises:
        ConfigError: the file holds something else.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.keys: dict[str, Key] = {}
        self._stamp = _stamp(self.path)
        if self._stamp is not None:
            self.keys = _read(self.path)

    def create(self, name: str, scopes: Sequence[str]) -> str:
        """Make a key and write the file.

        Args:
            name: whose it is.
            scopes: what it may do, of `SCOPES`.

        Returns:
            The key, which is not kept: show it once.

        Raises:
            ConfigError: a scope is unknown, or there is none.
        """
        for scope in scopes:
            if scope not in SCOPES:
                raise ConfigError(f"scope {scope!r} is unknown", remedy=did_you_mean(scope, SCOPES))
        if not scopes or not name:
            raise ConfigError("a key needs a name and a scope", remedy=f"choose of {', '.join(SCOPES)}")
        id_, secret = secrets.token_hex(4), secrets.token_hex(SECRET_BYTES)
        self.keys[id_] = Key(id_, name, tuple(dict.fromkeys(scopes)), _hash(secret))
        self._write()
        return f"{PREFIX}_{id_}_{secret}"

    def revoke(self, id_: str) -> None:
        """Remove a key and write the file.

        Raises:
            ConfigError: there is no such key.
        """
        if id_ not in self.keys:
            raise ConfigError(f"there is no key {id_!r}", remedy=did_you_mean(id_, self.keys))
        del self.keys[id_]
        self._write()

    def find(self, token: str) -> Key | None:
        """The key that a client presented, or None where it is not one of these.

        Args:
            token: as `create` returned it.
        """
        self._follow()
        parts = token.split("_")
        secret = parts[2] if len(parts) == 3 and parts[0] == PREFIX else ""
        key = self.keys.get(parts[1]) if secret else None
        # An unknown id takes as long as a wrong secret.
        known = key.sha256 if key is not None else _hash("")
        return key if hmac.compare_digest(_hash(secret), known) and secret else None

    def _follow(self) -> None:
        """Read the file again where it was changed, so that a key can be revoked while a server runs."""
        stamp = _stamp(self.path)
        if stamp != self._stamp:
            try:
                self.keys = {} if stamp is None else _read(self.path)
            except ConfigError as error:
                log.warning("the API keys stay as they were: %s", error)
            self._stamp = stamp

    def _write(self) -> None:
        text = json.dumps({"keys": [asdict(key) for key in self.keys.values()]}, indent=2) + "\n"
        unfinished = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self.path)
        self._stamp = _stamp(self.path)


def _read(path: Path) -> dict[str, Key]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["keys"]
        keys = [Key(row["id"], row["name"], tuple(row["scopes"]), row["sha256"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"not a file of API keys: {error!r}",
            where=str(path),
            remedy="write it with `shortlist keys create`",
        ) from error
    return {key.id: key for key in keys}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What differs when the file was written again; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
