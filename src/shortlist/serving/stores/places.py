"""Which store an address means."""

from __future__ import annotations

from urllib.parse import urlsplit

from shortlist.errors import ConfigError
from shortlist.serving.stores.store import Store

EXAMPLES = "such as sqlite:///store.db, postgresql://user@host/name or redis://host:6379/0"


def open_store(address: str) -> Store:
    """Open a store, and bring its tables to this version's form.

    Args:
        address: `sqlite:///PATH` (relative; an absolute path has four slashes), `postgresql://…` or
            `redis://…`.

    Raises:
        ConfigError: the address is none of these, or its driver is not installed.
        StoreError: the database cannot be reached, is not durable, or was written by a newer version.
    """
    scheme = urlsplit(address).scheme
    try:
        if scheme == "sqlite":
            from shortlist.serving.stores.sqlite import SqliteStore

            return SqliteStore(_path(address))
        if scheme in ("postgresql", "postgres"):
            from shortlist.serving.stores.postgres import PostgresStore

            return PostgresStore(address)
        if scheme in ("redis", "rediss"):
            from shortlist.serving.stores.redis import RedisStore

            return RedisStore(address)
    except ModuleNotFoundError as error:
        extra = "postgres" if scheme.startswith("postgres") else "redis"
        raise ConfigError(
            f"the driver {error.name!r} is not installed",
            where=f"the store {scheme}://",
            remedy=f"pip install 'shortlist[{extra}]'",
        ) from error
    raise ConfigError(f"{address!r} is no address of a store", remedy=EXAMPLES)


def _path(address: str) -> str:
    path = address.removeprefix("sqlite://")
    if not path.startswith("/") or len(path) < 2:
        raise ConfigError(f"{address!r} names no file", remedy=EXAMPLES)
    return path[1:]
