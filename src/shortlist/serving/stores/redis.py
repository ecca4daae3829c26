"""The store for several replicas: Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import redis

from shortlist.errors import StoreError
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

CONNECT_SECONDS = 3
ANSWER_SECONDS = 5
DIGITS = 16  # of the number that an event's text begins with, so that one second's events keep their order

VERSION = "shortlist:version"
EVENT_USERS = "shortlist:event_users"  # hash: event id → user, which makes an event come once
EVENTS = "shortlist:events:"  # and the user's id; sorted set: an event's number and JSON, by time
NUMBER = "shortlist:number"  # of the last event
ITEMS = "shortlist:items"  # hash: item → JSON of its columns
ITEM_VERSIONS = "shortlist:item_versions"  # sorted set: items by the version of their last change
ITEMS_VERSION = "shortlist:items_version"
FEATURES = "shortlist:features"  # hash: user → JSON
EXPOSURES = "shortlist:exposures"  # sorted set: an exposure's number and JSON, by the number
EXPOSURE_NUMBERS = (
    "shortlist:exposure_numbers"  # hash: exposure id → number, which makes an exposure come once
)
EXPOSURES_OF = "shortlist:exposures:"  # and the user's id; hash: exposure id → number
EXPOSURE_NUMBER = "shortlist:exposure_number"  # of the last exposure
SETTINGS = "shortlist:settings"  # hash: name → JSON

MIGRATIONS = ("", "")  # Redis needs no tables; the number says what the keys mean

# One script is one change: Redis runs and logs it as a whole.
ADD = f"""
local new = {{}}
for i = 1, #ARGV, 4 do
  new[#new + 1] = 0
  if redis.call('HSETNX', '{EVENT_USERS}', ARGV[i], ARGV[i + 1]) == 1 then
    local number = string.format('%0{DIGITS}.0f', redis.call('INCR', '{NUMBER}'))
    redis.call('ZADD', '{EVENTS}' .. ARGV[i + 1], ARGV[i + 2], number .. ARGV[i + 3])
    new[#new] = 1
  end
end
return new
"""
ERASE = f"""
local key = '{EVENTS}' .. ARGV[1]
local events = redis.call('ZRANGE', key, 0, -1)
for _, event in ipairs(events) do
  redis.call('HDEL', '{EVENT_USERS}', cjson.decode(string.sub(event, {DIGITS} + 1))[1])
end
redis.call('DEL', key)
redis.call('HDEL', '{FEATURES}', ARGV[1])
local shown = redis.call('HGETALL', '{EXPOSURES_OF}' .. ARGV[1])
for i = 1, #shown, 2 do
  redis.call('HDEL', '{EXPOSURE_NUMBERS}', shown[i])
  redis.call('ZREMRANGEBYSCORE', '{EXPOSURES}', shown[i + 1], shown[i + 1])
end
redis.call('DEL', '{EXPOSURES_OF}' .. ARGV[1])
return #events
"""
EXPOSE = f"""
for i = 1, #ARGV, 3 do
  if redis.call('HEXISTS', '{EXPOSURE_NUMBERS}', ARGV[i]) == 0 then
    local number = redis.call('INCR', '{EXPOSURE_NUMBER}')
    redis.call('HSET', '{EXPOSURE_NUMBERS}', ARGV[i], number)
    redis.call('HSET', '{EXPOSURES_OF}' .. ARGV[i + 1], ARGV[i], number)
    redis.call('ZADD', '{EXPOSURES}', number, ARGV[i + 2])
  end
end
"""


class RedisStore(Store):
    """A store in Redis with an append-only file that is synced before each answer.

    Args:
        address: `redis://…`.

    Raises:
        StoreError: the server cannot be reached, does not sync before it answers, or a newer version wrote
            to it.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.where = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"  # without the password
        self._redis: Any = redis.Redis.from_url(
            address,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            decode_responses=True,
        )
        with self._errors():
            self._check_durable()
            version = int(self._redis.get(VERSION) or 0)
            if pending(version, MIGRATIONS, where=self.where):
                self._redis.set(VERSION, len(MIGRATIONS))
            self._add, self._erase, self._expose = map(self._redis.register_script, (ADD, ERASE, EXPOSE))

    def add_events(self, events: Sequence[Event]) -> list[bool]:
        """See `Store.add_events`."""
        if not events:
            return []
        arguments = [text for each in events for text in (each.id, each.user, each.time, _event_text(each))]
        with self._errors():
            return [bool(new) for new in self._add(args=arguments)]

    def histories(self, users: Sequence[str], limit: int) -> dict[str, list[Event]]:
        """See `Store.histories`."""
        return self._latest(users, limit)

    def change_items(self, changes: Sequence[ItemChange]) -> int:
        """See `Store.change_items`."""
        with self._errors():
            version: int = self._redis.transaction(
                lambda pipe: _change(pipe, changes), ITEMS_VERSION, value_from_callable=True
            )
        return version

    def items_since(self, version: int) -> list[StoredItem]:
        """See `Store.items_since`."""
        with self._errors():
            changed = self._redis.zrangebyscore(ITEM_VERSIONS, f"({version}", "+inf", withscores=True)
            texts = self._redis.hmget(ITEMS, [item for item, _ in changed]) if changed else []
        # An item that changes between the two questions comes again, with its later version.
        return [
            StoredItem(item, from_json(text) if text else None, int(number))
            for (item, number), text in zip(changed, texts, strict=True)
        ]

    def put_features(self, user: str, features: Mapping[str, Any]) -> None:
        """See `Store.put_features`."""
        with self._errors():
            self._redis.hset(FEATURES, user, to_json(features))

    def features(self, users: Sequence[str]) -> dict[str, Values]:
        """See `Store.features`."""
        if not users:
            return {}
        with self._errors():
            texts = self._redis.hmget(FEATURES, list(users))
        return {user: from_json(text) or {} for user, text in zip(users, texts, strict=True) if text}

    def add_exposures(self, exposures: Sequence[Exposure]) -> None:
        """See `Store.add_exposures`."""
        rows = [(each.id, each.user, json.dumps(to_row(each))) for each in exposures]
        if rows:
            with self._errors():
                self._expose(args=[text for row in rows for text in row])

    def exposures_since(self, place: int, limit: int) -> list[tuple[int, Exposure]]:
        """See `Store.exposures_since`."""
        with self._errors():
            found = self._redis.zrangebyscore(
                EXPOSURES, f"({place}", "+inf", start=0, num=limit, withscores=True
            )
        return [(int(number), from_row(json.loads(text))) for text, number in found]

    def put_setting(self, name: str, value: Values | None) -> None:
        """See `Store.put_setting`."""
        with self._errors():
            if value is None:
                self._redis.hdel(SETTINGS, name)
            else:
                self._redis.hset(SETTINGS, name, to_json(value))

    def setting(self, name: str) -> Values | None:
        """See `Store.setting`."""
        with self._errors():
            return from_json(self._redis.hget(SETTINGS, name))

    def export_user(self, user: str) -> UserData:
        """See `Store.export_user`."""
        events = self._latest([user], 0).get(user, [])
        return UserData(user, self.features([user]).get(user, {}), tuple(events), self._shown(user))

    def erase_user(self, user: str) -> int:
        """See `Store.erase_user`; the append-only file forgets when Redis next rewrites it."""
        with self._errors():
            return int(self._erase(args=[user]))

    def check(self) -> None:
        """See `Store.check`."""
        with self._errors():
            self._redis.ping()

    def close(self) -> None:
        """See `Store.close`."""
        self._redis.close()

    def _latest(self, users: Sequence[str], limit: int) -> dict[str, list[Event]]:
        """The last `limit` events of each user, oldest first; 0 for all."""
        with self._errors():
            pipe = self._redis.pipeline(transaction=False)
            for user in users:
                pipe.zrange(EVENTS + user, -limit, -1)
            found = pipe.execute()
        return by_user(json.loads(text[DIGITS:]) for texts in found for text in texts)

    def _shown(self, user: str) -> tuple[Exposure, ...]:
        """The user's exposures, in the order they were kept."""
        with self._errors():
            numbers = sorted(map(int, self._redis.hvals(EXPOSURES_OF + user)))
            pipe = self._redis.pipeline(transaction=False)
            for number in numbers:
                pipe.zrangebyscore(EXPOSURES, number, number)
            found = pipe.execute()
        return tuple(from_row(json.loads(text)) for texts in found for text in texts)

    def _check_durable(self) -> None:
        settings = self._redis.config_get("appendonly", "appendfsync")
        if settings.get("appendonly") != "yes" or settings.get("appendfsync") != "always":
            found = ", ".join(f"{name} {value}" for name, value in sorted(settings.items()))
            raise StoreError(
                f"the server may lose what it has acknowledged ({found})",
                where=self.where,
                remedy="set appendonly yes and appendfsync always",
            )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise StoreError(
                f"Redis says: {error}", where=self.where, remedy="check that the server is up"
            ) from error


def _event_text(event: Event) -> str:
    """The fields of an `Event`, as `by_user` reads them; the id first, which the script that erases needs."""
    context = to_json(event.context or None)
    return json.dumps([event.id, event.user, event.item, event.time, event.type, context])


def _change(pipe: Any, changes: Sequence[ItemChange]) -> int:
    """Read what is known of some items and queue their changes; done again where another writer was first."""
    version = int(pipe.get(ITEMS_VERSION) or 0)
    known = pipe.hmget(ITEMS, [change.item for change in changes])
    pipe.multi()
    for change, text in zip(changes, known, strict=True):
        version += 1
        columns = merged(change, from_json(text) if text else None)
        pipe.hset(ITEMS, change.item, to_json(columns) or "")
        pipe.zadd(ITEM_VERSIONS, {change.item: version})
    pipe.set(ITEMS_VERSION, version)
    return version
