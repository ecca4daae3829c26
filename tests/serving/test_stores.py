"""What every store does, on the real SQLite, PostgreSQL and Redis."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from shortlist.errors import ConfigError, StoreError
from shortlist.serving.stores import Event, ItemChange, Store, StoredItem, open_store
from shortlist.serving.stores.migrations import pending


def event(number: int, *, user: str = "ann", time: int = 100) -> Event:
    return Event(f"e{number}", user, f"i{number}", time, "view", {"device": "phone"})


def test_an_event_comes_back_as_it_was_sent(store: Store):
    sent = [
        Event("1", "ann", "i1", 5),
        Event("2", "ann", "ü'\"; DROP TABLE events; --", 6, "like", {"a": 1, "b": None, "c": "\x00 ü"}),
    ]
    assert store.add_events(sent) == [True, True]
    assert store.histories(["ann"], 10) == {"ann": sent}


def test_an_event_that_is_sent_again_is_kept_once(store: Store):
    assert store.add_events([event(1), event(2), event(1)]) == [True, True, False]
    assert store.add_events([event(2), event(3)]) == [False, True]
    assert [each.id for each in store.histories(["ann"], 10)["ann"]] == ["e1", "e2", "e3"]


def test_no_event_at_all_is_no_mistake(store: Store):
    assert store.add_events([]) == []
    assert store.histories(["ann"], 3) == {}
    assert store.histories([], 3) == {}


def test_a_history_is_the_latest_events_oldest_first(store: Store):
    times = [50, 10, 30, 30, 20]
    store.add_events([event(number, time=time) for number, time in enumerate(times)])
    store.add_events([event(9, user="bob")])
    found = store.histories(["ann", "bob", "nobody"], 3)
    assert [each.id for each in found["ann"]] == ["e2", "e3", "e0"]
    assert [each.id for each in found["bob"]] == ["e9"]
    assert set(found) == {"ann", "bob"}


def test_items_are_told_of_in_the_order_of_their_changes(store: Store):
    assert store.items_since(0) == []
    first = store.change_items([ItemChange("a", {"price": 1}), ItemChange("b", {"price": 2})])
    second = store.change_items([ItemChange("a", None)])
    assert [each.item for each in store.items_since(0)] == ["b", "a"]
    assert store.items_since(first) == [StoredItem("a", None, second)]
    assert store.items_since(second) == []


def test_a_change_replaces_all_columns_or_leaves_the_others(store: Store):
    store.change_items([ItemChange("a", {"price": 1, "title": "x"})])
    store.change_items([ItemChange("a", {"price": 3}, replace=False)])
    assert store.items_since(0)[0].columns == {"price": 3, "title": "x"}
    store.change_items([ItemChange("a", {"price": None})])
    assert store.items_since(0)[0].columns == {"price": None}
    store.change_items([ItemChange("a", None), ItemChange("new", {"price": 4}, replace=False)])
    assert [each.columns for each in store.items_since(0)] == [None, {"price": 4}]


def test_features_replace_what_was_said_before(store: Store):
    store.put_features("ann", {"age": 3, "city": "Ulm"})
    store.put_features("ann", {"age": 4})
    assert store.features(["ann", "bob"]) == {"ann": {"age": 4}}
    assert store.features([]) == {}


def test_a_user_is_exported_and_erased_whole(store: Store):
    store.put_features("ann", {"age": 3})
    store.add_events([event(1), event(2), event(3, user="bob")])
    exported = store.export_user("ann")
    assert exported.features == {"age": 3}
    assert [each.id for each in exported.events] == ["e1", "e2"]
    assert store.erase_user("ann") == 2
    assert store.export_user("ann").events == ()
    assert store.export_user("ann").features == {}
    assert store.erase_user("ann") == 0
    assert [each.id for each in store.histories(["bob"], 9)["bob"]] == ["e3"]
    assert store.add_events([event(1), event(3)]) == [True, False]


def test_an_export_has_every_event(store: Store):
    store.add_events([event(number, time=number) for number in range(1200)])
    assert len(store.export_user("ann").events) == 1200


def test_a_store_that_is_opened_again_has_everything(store: Store, address: str):
    store.add_events([event(1)])
    version = store.change_items([ItemChange("a", {"price": 1})])
    store.close()
    again = open_store(address)
    assert [each.id for each in again.histories(["ann"], 9)["ann"]] == ["e1"]
    assert again.change_items([ItemChange("b", None)]) > version
    again.close()


def test_threads_that_send_the_same_events_keep_each_once(store: Store):
    new: list[bool] = []

    def send() -> None:
        for start in range(0, 60, 3):
            new.extend(store.add_events([event(number) for number in range(start, start + 6)]))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(new) == 63
    assert len(store.histories(["ann"], 1000)["ann"]) == 63


def test_threads_that_change_items_get_versions_of_their_own(store: Store):
    versions: list[int] = []

    def change(name: str) -> None:
        changes = [ItemChange(f"{name}{number}", {"price": number}) for number in range(10)]
        versions.extend(store.change_items([each]) for each in changes)

    threads = [threading.Thread(target=change, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(versions)) == 30
    found = [each.version for each in store.items_since(0)]
    assert found == sorted(versions)


def test_a_closed_store_says_so(store: Store, address: str):
    if address.startswith("redis"):
        pytest.skip("the driver of Redis connects again by itself")
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.check()


def test_a_server_that_is_not_there_is_named_without_its_password():
    for address in ("postgresql://me:secret@127.0.0.1:9/x", "redis://:secret@127.0.0.1:9/0"):
        with pytest.raises(StoreError) as caught:
            open_store(address)
        assert "127.0.0.1" in str(caught.value)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["", "store.db", "mysql://host/x", "sqlite://", "sqlite:///"])
def test_an_address_that_is_none_is_refused(address: str):
    with pytest.raises(ConfigError, match="such as sqlite"):
        open_store(address)


def test_a_database_that_is_no_store_is_left_as_it_is(tmp_path: Path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (x)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="no store"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but longer than the header of one " * 20)
    with pytest.raises(StoreError, match="not a database"):
        open_store(f"sqlite:///{path}")
    with pytest.raises(StoreError, match="unable to open"):
        open_store(f"sqlite:///{tmp_path / 'nowhere' / 'store.db'}")


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path):
    address = f"sqlite:///{tmp_path / 'store.db'}"
    open_store(address).close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="version 99, this shortlist knows up to"):
        open_store(address)


def test_a_store_gets_the_steps_that_it_has_not_seen():
    assert pending(0, ["a", "b", "c"], where="x") == ["a", "b", "c"]
    assert pending(2, ["a", "b", "c"], where="x") == ["c"]
    assert pending(3, ["a", "b", "c"], where="x") == []
    with pytest.raises(StoreError, match="upgrade shortlist"):
        pending(4, ["a", "b", "c"], where="x")


def test_a_redis_that_may_lose_events_is_refused(database):
    import redis

    server = database("redis")
    with redis.Redis.from_url(server.address) as connection:
        connection.config_set("appendfsync", "everysec")
        try:
            with pytest.raises(StoreError, match=r"appendfsync everysec.*set appendonly yes"):
                open_store(server.address)
        finally:
            connection.config_set("appendfsync", "always")


def test_an_erased_user_is_not_in_the_file_any_more(tmp_path: Path):
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    store.add_events([Event(f"{n}", "ann", "a-very-rare-word", 1) for n in range(50)])
    assert store.erase_user("ann") == 50
    store.close()
    for file in tmp_path.iterdir():
        assert b"a-very-rare-word" not in file.read_bytes()
