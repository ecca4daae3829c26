"""The embedded store: one SQLite file with a write-ahead log."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shortlist.errors import StoreError
from shortlist.serving.stores.exposures import FIELDS as EXPOSURE_FIELDS
from shortlist.serving.stores.exposures import Exposure, from_row, to_row
from shortlist.serving.stores.migrations import pending
from shortlist.serving.stores.store import (
    Event,
    ItemChange,
    Store,
    StoredItem,
    UserData,
    Values,
    by_user,
    from_json,
    merged,
    to_json,
)

APPLICATION = 0x53484C54  # "SHLT": marks a file as a store, so that no other database is written into
WAIT_SECONDS = 5.0  # for another process that writes

MIGRATIONS = (
    """
    CREATE TABLE events (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        user TEXT NOT NULL,
        item TEXT NOT NULL,
        time INTEGER NOT NULL,
        type TEXT,
        context TEXT
    ) STRICT;
    CREATE INDEX events_of_user ON events (user, time, sequence);
    CREATE TABLE items (
        item TEXT PRIMARY KEY,
        columns TEXT,
        version INTEGER NOT NULL UNIQUE
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE features (user TEXT PRIMARY KEY, "values" TEXT NOT NULL) STRICT, WITHOUT ROWID;
    """,
    """
    CREATE TABLE exposures (
        place INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        user TEXT NOT NULL,
        time INTEGER NOT NULL,
        experiment TEXT NOT NULL,
        arm TEXT NOT NULL,
        probability REAL NOT NULL,
        bundle TEXT NOT NULL,
        shown INTEGER NOT NULL,
        content TEXT NOT NULL
    ) STRICT;
    CREATE INDEX exposures_of_user ON exposures (user, place);
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    """,
)

FIELDS = "id, user, item, time, type, context"
ADD = f"INSERT INTO events ({FIELDS}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
LATEST = f"SELECT {FIELDS} FROM events WHERE user = ? ORDER BY time DESC, sequence DESC LIMIT ?"
EXPOSE = f"""
    INSERT INTO exposures ({EXPOSURE_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
EXPOSURES = f"SELECT place, {EXPOSURE_FIELDS} FROM exposures"


class SqliteStore(Store):
    """A store in one file.

    A commit is on the disk when it returns: the write-ahead log is synced each time.

    Args:
        path: of the file, made where there is none.

    Raises:
        StoreError: the file cannot be opened, is no store, or was written by a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        self._closed = False
        with self._errors():
            self._migrate(self._connection())

    def add_events(self, events: Sequence[Event]) -> list[bool]:
        """See `Store.add_events`."""
        rows = [
            (each.id, each.user, each.item, each.time, each.type, to_json(each.context or None))
            for each in events
        ]
        with self._transaction() as connection:
            return [connection.execute(ADD, row).rowcount > 0 for row in rows]

    def histories(self, users: Sequence[str], limit: int) -> dict[str, list[Event]]:
        """See `Store.histories`."""
        with self._errors():
            connection = self._connection()
            rows = [
                row for user in users for row in connection.execute(LATEST, (user, limit)).fetchall()[::-1]
            ]
        return by_user(rows)

    def change_items(self, changes: Sequence[ItemChange]) -> int:
        """See `Store.change_items`."""
        with self._transaction() as connection:
            (last,) = connection.execute("SELECT coalesce(max(version), 0) FROM items").fetchone()
            for version, change in enumerate(changes, start=last + 1):
                row = connection.execute(
                    "SELECT columns FROM items WHERE item = ?", (change.item,)
                ).fetchone()
                columns = merged(change, from_json(row[0]) if row else None)
                connection.execute(
                    "INSERT OR REPLACE INTO items (item, columns, version) VALUES (?, ?, ?)",
                    (change.item, to_json(columns), version),
                )
        return int(last) + len(changes)

    def items_since(self, version: int) -> list[StoredItem]:
        """See `Store.items_since`."""
        with self._errors():
            rows = self._connection().execute(
                "SELECT item, columns, version FROM items WHERE version > ? ORDER BY version", (version,)
            )
            return [StoredItem(item, from_json(columns), number) for item, columns, number in rows]

    def put_features(self, user: str, features: Mapping[str, Any]) -> None:
        """See `Store.put_features`."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO features VALUES (?, ?)", (user, to_json(features)))

    def features(self, users: Sequence[str]) -> dict[str, Values]:
        """See `Store.features`."""
        with self._errors():
            connection = self._connection()
            ask = 'SELECT "values" FROM features WHERE user = ?'
            found = {user: connection.execute(ask, (user,)).fetchone() for user in users}
        return {user: from_json(row[0]) or {} for user, row in found.items() if row}

    def add_exposures(self, exposures: Sequence[Exposure]) -> None:
        """See `Store.add_exposures`."""
        with self._transaction() as connection:
            connection.executemany(EXPOSE, map(to_row, exposures))

    def exposures_since(self, place: int, limit: int) -> list[tuple[int, Exposure]]:
        """See `Store.exposures_since`."""
        ask = f"{EXPOSURES} WHERE place > ? ORDER BY place LIMIT ?"
        with self._errors():
            rows = self._connection().execute(ask, (place, limit)).fetchall()
        return [(row[0], from_row(row[1:])) for row in rows]

    def put_setting(self, name: str, value: Values | None) -> None:
        """See `Store.put_setting`."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM settings WHERE name = ?", (name,))
            if value is not None:
                connection.execute("INSERT INTO settings VALUES (?, ?)", (name, to_json(value)))

    def setting(self, name: str) -> Values | None:
        """See `Store.setting`."""
        with self._errors():
            ask = "SELECT value FROM settings WHERE name = ?"
            row = self._connection().execute(ask, (name,)).fetchone()
        return from_json(row[0]) if row else None

    def export_user(self, user: str) -> UserData:
        """See `Store.export_user`."""
        events = self.histories([user], -1).get(user, [])  # a negative limit is none
        with self._errors():
            rows = (
                self._connection().execute(f"{EXPOSURES} WHERE user = ? ORDER BY place", (user,)).fetchall()
            )
        shown = tuple(from_row(row[1:]) for row in rows)
        return UserData(user, self.features([user]).get(user, {}), tuple(events), shown)

    def erase_user(self, user: str) -> int:
        """See `Store.erase_user`; what they filled in the file is overwritten."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM features WHERE user = ?", (user,))
            connection.execute("DELETE FROM exposures WHERE user = ?", (user,))
            erased = connection.execute("DELETE FROM events WHERE user = ?", (user,)).rowcount
        with self._errors():
            self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return erased

    def check(self) -> None:
        """See `Store.check`."""
        with self._errors():
            self._connection().execute("SELECT 1 FROM events LIMIT 1").fetchone()

    def close(self) -> None:
        """See `Store.close`."""
        with self._writing:
            self._closed = True
            for connection in self._all:
                connection.close()
            self._all.clear()

    def _connection(self) -> sqlite3.Connection:
        """This thread's own connection."""
        known: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if known is not None:
            return known
        if self._closed:
            raise StoreError("the store is closed", where=str(self.path), remedy="open it again")
        # Only `close` uses it from another thread.
        made = sqlite3.connect(self.path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        made.execute("PRAGMA synchronous = FULL")
        made.execute("PRAGMA secure_delete = ON")
        self._all.append(made)
        self._local.connection = made
        return made

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing, self._errors():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"SQLite says: {error}",
                where=str(self.path),
                remedy="check the file, its folder and the disk",
            ) from error

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if application != APPLICATION and tables:
                raise StoreError(
                    "it is a database, but no store", where=str(self.path), remedy="name another file"
                )
            for script in pending(version, MIGRATIONS, where=str(self.path)):
                for statement in script.split(";"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")  # the file keeps it
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self.close()
            raise
