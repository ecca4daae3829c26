"""Items that come and go, users who are exported and erased, bundles that take turns."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from serving.serving_cases import Client, within_a_second

from shortlist.serving import ServerSettings, create_app

NEW = {"title": "A green thing 99", "colours": ["green", "any"], "group": "green", "price": 9.5}


def items_for(client: Client, user: str, **settings: Any) -> list[str]:
    return client.post("/v1/recommend", json={"user": user, "k": 48, **settings}).json()["items"]


def test_a_new_item_is_recommended_within_a_second(client: Client):
    assert client.put("/v1/items/fresh", json={"columns": NEW}).status_code == 200
    assert within_a_second(lambda: "fresh" in items_for(client, "u001"))
    answer = client.post(
        "/v1/recommend", json={"user": "u001", "k": 48, "fields": ["title", "group", "price"]}
    ).json()
    place = answer["items"].index("fresh")
    assert {name: values[place] for name, values in answer["columns"].items()} == {
        name: NEW[name] for name in ("title", "group", "price")
    }
    greens = items_for(client, "u001", where="\"group\" = 'green'")
    reds = [item for item in items_for(client, "u001") if item not in greens]
    assert items_for(client, "u001").index("fresh") < items_for(client, "u001").index(reds[-1])
    assert "fresh" in client.get("/v1/similar/i001", params={"k": 12}).json()["items"]


def test_an_item_can_be_changed_and_removed_and_come_back(client: Client):
    client.patch("/v1/items/i007", json={"columns": {"price": 777.0}})
    dear = {"where": "price > 700", "exclude_seen": False}
    assert within_a_second(lambda: items_for(client, "u001", **dear) == ["i007"])
    assert client.delete("/v1/items/i007").status_code == 200
    assert within_a_second(lambda: items_for(client, "u001", **dear) == [])
    assert "i007" not in items_for(client, "u003", exclude_seen=False)
    client.patch("/v1/items/i007", json={"columns": {"price": 800}})
    assert within_a_second(lambda: items_for(client, "u001", **dear) == ["i007"])


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"colour": "red"}, "no column 'colour'"),
        ({"price": "dear"}, "cannot be"),
        ({"colours": [[1]]}, "cannot be"),
    ],
)
def test_columns_that_the_table_cannot_hold_are_refused(client: Client, columns: dict, what: str):
    answer = client.put("/v1/items/i001", json={"columns": columns})
    assert answer.status_code == 400
    assert what in answer.json()["error"]["what"]


def test_an_item_that_is_not_there_can_be_neither_changed_nor_removed(client: Client):
    assert client.patch("/v1/items/none", json={"columns": {}}).status_code == 404
    assert client.delete("/v1/items/none").status_code == 404


def test_a_user_is_exported_and_erased(client: Client):
    event = {"id": "1", "user": "eve", "item": "i001", "time": 1_700_000_000, "context": {"device": "phone"}}
    assert client.post("/v1/events", json={"events": [event]}).json() == {"kept": 1, "new": 1}
    assert client.post("/v1/events", json={"events": [event]}).json() == {"kept": 1, "new": 0}
    client.put("/v1/users/eve", json={"features": {"device": "desk"}})
    kept = client.get("/v1/users/eve").json()
    assert kept["features"] == {"device": "desk"}
    assert kept["events"] == [
        {**{name: event[name] for name in ("id", "item", "time", "context")}, "type": None}
    ]
    assert client.delete("/v1/users/eve").json() == {"user": "eve", "events": 1}
    erased = {"user": "eve", "features": {}, "events": [], "exposures": []}
    assert client.get("/v1/users/eve").json() == erased


@pytest.mark.parametrize("id_", ["a%00b", "%0a", "x" * 201])
def test_an_id_that_is_none_is_refused(client: Client, id_: str):
    for method, path in (("GET", "users"), ("DELETE", "users"), ("DELETE", "items"), ("GET", "similar")):
        assert client.request(method, f"/v1/{path}/{id_}").status_code == 400, (method, path)


@pytest.mark.parametrize("id_", ["a/b", "/", "a%2Fb", "u/history", "ü/é ?#"])
def test_an_id_may_hold_slashes_where_they_are_percent_encoded(client: Client, id_: str):
    path = quote(id_, safe="")
    assert client.put(f"/v1/users/{path}", json={"features": {}}).json() == {"user": id_}
    assert client.get(f"/v1/users/{path}").json()["user"] == id_
    assert client.get(f"/v1/users/{path}/history").json()["user"] == id_
    assert client.put(f"/v1/items/{path}", json={"columns": NEW}).json()["id"] == id_
    assert within_a_second(lambda: client.get(f"/v1/items/{path}").status_code == 200)
    assert len(client.get(f"/v1/similar/{path}", params={"k": 3}).json()["items"]) == 3
    assert client.delete(f"/v1/items/{path}").json()["id"] == id_


def test_an_encoded_slash_parts_no_path(client: Client):
    for path in ("/v1%2Fbundles", "/v1/users/a%2Fhistory/history/more", "/v1/models/a%2Fb:predict"):
        answer = client.get(path)
        assert answer.status_code in (404, 405), path
        assert answer.json()["error"]
    assert client.get("/v1/models/default%2F").status_code == 404


def test_an_event_to_come_is_refused(client: Client):
    event = {"id": "1", "user": "eve", "item": "i001", "time": 99_999_999_999}
    answer = client.post("/v1/events", json={"events": [event]})
    assert answer.status_code == 400
    assert answer.json()["error"]["where"] == "events[0]"


def test_bundles_take_turns(client: Client):
    first = client.get("/v1/bundles").json()["current"]
    asked = {"user": "u000", "k": 48, "exclude_seen": False, "where": "\"group\" = 'red'"}
    assert len(client.post("/v1/recommend", json=asked).json()["items"]) == 12
    swapped = client.post("/v1/bundles", json={"path": "second"}).json()
    assert swapped["previous"] == first != swapped["current"]
    answer = client.post("/v1/recommend", json=asked).json()
    assert (answer["items"], answer["bundle"]) == ([], swapped["current"])
    assert client.post("/v1/bundles", json={"rollback": True}).json()["current"] == first
    assert client.post("/v1/recommend", json=asked).json()["bundle"] == first


def test_changes_of_the_bundle_that_wait_hold_up_nobody(client: Client):
    shelf = client.app.state.service.shelf
    with ThreadPoolExecutor(8) as pool:
        with shelf._changing:  # as while a bundle is warmed
            changes = [pool.submit(client.post, "/v1/bundles", json={"path": "second"}) for _ in range(6)]
            time.sleep(0.2)
            assert pool.submit(client.get, "/readyz").result(5).status_code == 200
            assert not any(each.done() for each in changes)
        assert {each.result().status_code for each in changes} == {200}


def test_items_of_the_store_are_in_the_next_bundle_too(client: Client):
    client.put("/v1/items/fresh", json={"columns": NEW})
    client.delete("/v1/items/i001")
    client.post("/v1/bundles", json={"path": "second"})
    found = items_for(client, "u001", exclude_seen=False)
    assert "fresh" in found
    assert "i001" not in found


@pytest.mark.parametrize("path", ["../elsewhere", "/etc", "nothing", "first/data", "a\0b", "x" * 900])
def test_a_bundle_that_cannot_be_used_changes_nothing(client: Client, path: str):
    before = client.get("/v1/bundles").json()
    answer = client.post("/v1/bundles", json={"path": path})
    assert answer.status_code == 400
    assert client.get("/v1/bundles").json() == before
    assert client.post("/v1/bundles", json={}).status_code == 400


def test_a_damaged_bundle_is_refused_and_the_server_goes_on(shop: Path, tmp_path: Path):
    shutil.copytree(shop, tmp_path / "bundles")
    victim = next((tmp_path / "bundles" / "second").rglob("*.safetensors"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    settings = ServerSettings(store=f"sqlite:///{tmp_path / 'store.db'}")
    with Client(create_app(tmp_path / "bundles" / "first", settings)) as client:
        answer = client.post("/v1/bundles", json={"path": "second"})
        assert answer.status_code == 400
        assert "damaged" in answer.json()["error"]["what"]
        assert len(client.post("/v1/recommend", json={"user": "u001"}).json()["items"]) == 6


def test_no_answer_fails_or_is_mixed_while_bundles_are_swapped(client: Client):
    asked = {"user": "u000", "k": 48, "exclude_seen": False, "fields": ["group"]}
    answers: list[Any] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answers.append(client.post("/v1/recommend", json=asked))

    thread = threading.Thread(target=ask)
    thread.start()
    first = client.get("/v1/bundles").json()["current"]
    for path in ("second", "first") * 3:
        assert client.post("/v1/bundles", json={"path": path}).status_code == 200
    done.set()
    thread.join()
    assert {answer.status_code for answer in answers} == {200}
    for answer in (each.json() for each in answers):
        assert ("red" in answer["columns"]["group"]) == (answer["bundle"] == first)
