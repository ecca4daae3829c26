"""The store for several replicas: PostgreSQL."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg

from shortlist.errors import StoreError
from shortlist.serving.stores.exposures import Exposure, from_row, to_row
from shortlist.serving.stores.migrations import pending
from shortlist.serving.stores.postgres_statements import (
    ADD,
    EXPOSE,
    EXPOSURES,
    LATEST,
    MIGRATIONS,
    PUT_FEATURES,
    PUT_ITEM,
    PUT_SETTING,
)
from shortlist.serving.stores.store import (
    Event,
    ItemChange,
    Store,
    StoredItem,
    UserData,
    Values,
    by_user,
    first_of_each,
    from_json,
    merged,
    to_json,
)

Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 5
IDLE_CONNECTIONS = 8  # that are kept for the next call
LOCK = 0x53484C54  # of the migrations, so that replicas that start together do not both make the tables


class PostgresStore(Store):
    """A store in a PostgreSQL database; a commit is on the server's disk when it returns.

    Args:
        address: `postgresql://…`.

    Raises:
        StoreError: the database cannot be reached, does not sync its disk, or was written by a newer version.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        parts = urlsplit(address)
        self.where = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"  # without the password
        self._idle: deque[Connection] = deque()
        self._closed = False
        with self._transaction() as connection:
            self._migrate(connection)

    def add_events(self, events: Sequence[Event]) -> list[bool]:
        """See `Store.add_events`."""
        columns: list[list[Any]] = [
            [each.id for each in events],
            [each.user for each in events],
            [each.item for each in events],
            [each.time for each in events],
            [each.type for each in events],
            [to_json(each.context or None) for each in events],
        ]
        with self._transaction() as connection:
            new = {id_ for (id_,) in connection.execute(ADD, columns).fetchall()}
        return first_of_each([each.id for each in events], new)

    def histories(self, users: Sequence[str], limit: int) -> dict[str, list[Event]]:
        """See `Store.histories`."""
        return self._latest(users, limit)

    def change_items(self, changes: Sequence[ItemChange]) -> int:
        """See `Store.change_items`."""
        with self._transaction() as connection:
            # The row's lock lets one writer in at a time, so that versions become visible in their order.
            (version,) = _row(
                connection,
                "UPDATE shortlist_items_version SET version = version + %s RETURNING version",
                [len(changes)],
            )
            for number, change in enumerate(changes, start=version - len(changes) + 1):
                known = connection.execute(
                    "SELECT columns FROM shortlist_items WHERE item = %s", [change.item]
                ).fetchone()
                columns = merged(change, from_json(known[0]) if known else None)
                connection.execute(PUT_ITEM, [change.item, to_json(columns), number])
        return int(version)

    def items_since(self, version: int) -> list[StoredItem]:
        """See `Store.items_since`."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT item, columns, version FROM shortlist_items WHERE version > %s ORDER BY version",
                [version],
            ).fetchall()
        return [StoredItem(item, from_json(columns), number) for item, columns, number in rows]

    def put_features(self, user: str, features: Mapping[str, Any]) -> None:
        """See `Store.put_features`."""
        with self._transaction() as connection:
            connection.execute(PUT_FEATURES, [user, to_json(features)])

    def features(self, users: Sequence[str]) -> dict[str, Values]:
        """See `Store.features`."""
        with self._transaction() as connection:
            rows = connection.execute(
                'SELECT "user", "values" FROM shortlist_features WHERE "user" = ANY (%s)', [list(users)]
            ).fetchall()
        return {user: from_json(values) or {} for user, values in rows}

    def add_exposures(self, exposures: Sequence[Exposure]) -> None:
        """See `Store.add_exposures`."""
        with self._transaction() as connection, connection.cursor() as cursor:
            cursor.executemany(EXPOSE, [to_row(each) for each in exposures])

    def exposures_since(self, place: int, limit: int) -> list[tuple[int, Exposure]]:
        """See `Store.exposures_since`."""
        ask = f"{EXPOSURES} WHERE place > %s ORDER BY place LIMIT %s"
        with self._transaction() as connection:
            rows = connection.execute(ask.encode(), [place, limit]).fetchall()
        return [(row[0], from_row(row[1:])) for row in rows]

    def put_setting(self, name: str, value: Values | None) -> None:
        """See `Store.put_setting`."""
        with self._transaction() as connection:
            if value is None:
                connection.execute("DELETE FROM shortlist_settings WHERE name = %s", [name])
            else:
                connection.execute(PUT_SETTING, [name, to_json(value)])

    def setting(self, name: str) -> Values | None:
        """See `Store.setting`."""
        with self._transaction() as connection:
            ask = "SELECT value FROM shortlist_settings WHERE name = %s"
            row = connection.execute(ask, [name]).fetchone()
        return from_json(row[0]) if row else None

    def export_user(self, user: str) -> UserData:
        """See `Store.export_user`."""
        events = self._latest([user], None).get(user, [])
        ask = f'{EXPOSURES} WHERE "user" = %s ORDER BY place'
        with self._transaction() as connection:
            rows = connection.execute(ask.encode(), [user]).fetchall()
        shown = tuple(from_row(row[1:]) for row in rows)
        return UserData(user, self.features([user]).get(user, {}), tuple(events), shown)

    def erase_user(self, user: str) -> int:
        """See `Store.erase_user`."""
        with self._transaction() as connection:
            connection.execute('DELETE FROM shortlist_features WHERE "user" = %s', [user])
            connection.execute('DELETE FROM shortlist_exposures WHERE "user" = %s', [user])
            return connection.execute('DELETE FROM shortlist_events WHERE "user" = %s', [user]).rowcount

    def check(self) -> None:
        """See `Store.check`."""
        with self._transaction() as connection:
            connection.execute("SELECT 1")

    def close(self) -> None:
        """See `Store.close`."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _latest(self, users: Sequence[str], limit: int | None) -> dict[str, list[Event]]:
        with self._transaction() as connection:
            return by_user(connection.execute(LATEST, [list(users), limit]).fetchall())

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """A connection of one's own; what is done with it is committed at the end, or not at all."""
        connection = None
        try:
            connection = self._borrow()
            with connection.transaction():
                yield connection
        except psycopg.Error as error:
            if connection is not None:
                connection.close()
            if isinstance(error, psycopg.OperationalError):  # the server has gone, for all connections
                while self._idle:
                    self._idle.pop().close()
            reason = " ".join(str(error).split()) or type(error).__name__
            raise StoreError(
                f"PostgreSQL says: {reason}", where=self.where, remedy="check that the server is up"
            ) from error
        finally:
            if connection is not None and not connection.closed:
                self._give_back(connection)

    def _borrow(self) -> Connection:
        if self._closed:
            raise StoreError("the store is closed", where=self.where, remedy="open it again")
        try:
            return self._idle.pop()
        except IndexError:
            return psycopg.connect(
                self.address,
                connect_timeout=CONNECT_SECONDS,
                autocommit=True,
                options=f"-c statement_timeout={STATEMENT_SECONDS * 1000} -c synchronous_commit=on",
            )

    def _give_back(self, connection: Connection) -> None:
        if self._closed or len(self._idle) >= IDLE_CONNECTIONS:
            connection.close()
        else:
            self._idle.append(connection)

    def _migrate(self, connection: Connection) -> None:
        if _row(connection, "SHOW fsync")[0] != "on":
            raise StoreError(
                "the server runs with fsync = off and may lose what it has acknowledged",
                where=self.where,
                remedy="set fsync = on",
            )
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        connection.execute("CREATE TABLE IF NOT EXISTS shortlist_version (version INT NOT NULL)")
        (version,) = _row(connection, "SELECT coalesce(max(version), 0) FROM shortlist_version")
        for script in pending(version, MIGRATIONS, where=self.where):
            connection.execute(script)
        if version < len(MIGRATIONS):
            connection.execute("DELETE FROM shortlist_version")
            connection.execute("INSERT INTO shortlist_version VALUES (%s)", [len(MIGRATIONS)])


def _row(connection: Connection, query: Any, values: Sequence[Any] = ()) -> tuple[Any, ...]:
    """The single row of a query that always has one."""
    row = connection.execute(query, values or None).fetchone()
    assert row is not None
    return row
