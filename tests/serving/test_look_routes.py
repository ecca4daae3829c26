"""What can be looked at over HTTP: the funnel, items, users, histories, bundles, the console's files."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from serving.serving_cases import Client

from shortlist.funnel import Funnel
from shortlist.postrank import to_dict
from shortlist.serving import ServerSettings, create_app
from shortlist.serving.console import assets
from shortlist.serving.stores import exposure_table


@pytest.fixture(scope="module")
def funnel(shop: Path) -> Funnel:
    return Funnel.load(shop / "first")


def test_the_funnel_names_its_parts(client: Client, funnel: Funnel):
    view = client.get("/v1/funnel").json()
    assert (view["items"], view["users"], view["events"]) == (48, 80, len(funnel.data))
    assert view["retrieve"] == [
        {"name": "towers", "model": "TwoTower", "k": 20},
        {"name": "ease", "model": "EASE", "k": 20},
        {"name": "popular", "model": "Popularity", "k": 20},
    ]
    assert view["rank"] is None
    assert view["postrank"] == [to_dict(each) for each in funnel.postrank]
    assert view["title"] == "title"
    assert view["columns"] == {
        "title": "text", "colours": "tags", "group": "text", "price": "number", "picture": "other",
        "first_seen": "time",
    }  # fmt: skip
    assert view["vectors"]


def test_the_bundles_post_rankers_can_be_asked_for_and_give_the_same_list(client: Client):
    view = client.get("/v1/funnel").json()
    plain = client.post("/v1/recommend", json={"user": "u001"}).json()
    assert client.post("/v1/recommend", json={"user": "u001", "postrank": view["postrank"]}).json() == plain


def test_items_are_found_by_title_and_id_the_most_popular_first(client: Client, funnel: Funnel):
    found = client.get("/v1/items", params={"search": "GREEN", "k": 5}).json()
    counts = funnel.data.item_vocabulary.counts
    greens = [id_ for id_ in funnel.data.item_vocabulary.ids if int(id_[1:]) % 4 == 1]
    assert found["items"] == greens[:5]
    assert all("green" in title for title in found["titles"])
    indices = funnel.data.item_vocabulary.encode(found["items"])
    assert list(counts[indices]) == sorted(counts[indices], reverse=True)
    assert client.get("/v1/items", params={"search": "i007"}).json()["items"] == ["i007"]
    assert client.get("/v1/items", params={"k": 3}).json()["items"] == list(
        funnel.data.item_vocabulary.ids[:3]
    )
    assert client.get("/v1/items", params={"search": "nothing of the kind"}).json() == {
        "items": [],
        "titles": [],
    }


@pytest.mark.parametrize("search", ["(", "[a-", ".*", "\\", "thing 1$", "%", "a\x00b"])
def test_a_search_is_a_text_and_no_pattern(client: Client, search: str):
    assert client.get("/v1/items", params={"search": search}).json()["items"] == []


def test_an_item_is_told_with_all_its_columns(client: Client, funnel: Funnel):
    item = client.get("/v1/items/i007").json()
    row = funnel.catalogue.items.row(funnel.data.item_vocabulary.index_of("i007"), named=True)
    assert item["columns"] == {name: value for name, value in row.items() if name != "item_id"}
    assert (item["id"], item["title"], item["removed"]) == ("i007", row["title"], False)
    client.delete("/v1/items/i007")
    client.app.state.service.shelf.refresh()
    assert client.get("/v1/items/i007").json()["removed"]
    assert client.get("/v1/items/i999").status_code == 404


def test_a_new_item_is_found(client: Client):
    client.put("/v1/items/fresh", json={"columns": {"title": "An unheard-of thing"}})
    client.app.state.service.shelf.refresh()
    assert client.get("/v1/items", params={"search": "unheard"}).json()["items"] == ["fresh"]


def test_users_are_found_by_a_part_of_their_id(client: Client, funnel: Funnel):
    found = client.get("/v1/users", params={"search": "U01", "k": 50}).json()
    assert sorted(found["users"]) == [f"u01{number}" for number in range(10)]
    assert found["events"] == [8] * 10
    assert client.get("/v1/users", params={"search": "u017"}).json()["users"] == ["u017"]


def test_a_history_is_that_of_the_bundle_and_then_of_the_store(client: Client, funnel: Funnel):
    known = funnel.explain("u003").history
    before = client.get("/v1/users/u003/history").json()
    assert before["items"] == known["item_id"].to_list()
    assert before["titles"] == known["title"].to_list()
    assert before["times"] == sorted(before["times"])
    assert (before["known"], before["events"], any(before["live"])) == (True, len(known), False)
    event = {"id": "1", "user": "u003", "item": "i001"}
    client.post("/v1/events", json={"events": [event]})
    after = client.get("/v1/users/u003/history", params={"k": 3}).json()
    assert after["items"] == [*before["items"][-2:], "i001"]
    assert after["live"] == [False, False, True]
    assert after["events"] == len(known) + 1


def test_what_a_user_had_and_no_history_tells_is_named_too(client: Client):
    """An event as old as the bundle's data counts as seen, but is no part of the history."""
    client.post("/v1/events", json={"events": [{"id": "1", "user": "u003", "item": "i001", "time": 5}]})
    assert client.get("/v1/users/u003/history").json()["also_seen"] == ["i001"]


def test_somebody_unknown_has_no_history(client: Client):
    view = client.get("/v1/users/nobody/history").json()
    assert (view["known"], view["items"], view["also_seen"]) == (False, [], [])
    client.post("/v1/events", json={"events": [{"id": "1", "user": "nobody", "item": "i001"}]})
    view = client.get("/v1/users/nobody/history").json()
    assert (view["known"], view["items"]) == (True, ["i001"])


def test_a_trace_has_each_retrievers_score_and_the_settings_of_each_stage(client: Client, funnel: Funnel):
    request = {"user": "u003", "explain": True, "fields": ["title", "price"]}
    retrieve, diversity = client.post("/v1/recommend", json=request).json()["stages"]
    explained = funnel.explain("u003").stages["retrieve"]
    assert set(retrieve["features"]) == {"score_towers", "score_ease", "score_popular"}
    for name, values in retrieve["features"].items():
        assert values == pytest.approx(explained[name].to_list(), rel=1e-5)
    assert retrieve["columns"] == {name: explained[name].to_list() for name in ("title", "price")}
    assert "settings" not in retrieve
    assert set(diversity["features"]) == {"diversity_penalty"}
    assert diversity["settings"] == to_dict(funnel.postrank[0])
    assert "columns" not in diversity


def test_a_trace_names_the_post_rankers_of_the_request(client: Client):
    wanted = [{"kind": "Freshness", "strength": 0.5}, {"kind": "Cap", "column": "group", "at_most": 2}]
    stages = client.post("/v1/recommend", json={"user": "u003", "explain": True, "postrank": wanted}).json()[
        "stages"
    ]
    assert [stage["name"] for stage in stages] == ["retrieve", "freshness", "cap"]
    assert [stage.get("settings", {}).get("kind") for stage in stages] == [None, "Freshness", "Cap"]
    assert set(stages[2]["features"]) == {"cap_skipped"}


def test_in_an_experiment_the_funnel_is_told_that_answers_a_user_and_a_look_is_no_exposure(client: Client):
    arms = [{"name": "control", "share": 0.5}, {"name": "no-red", "share": 0.5, "path": "second"}]
    assert client.put("/v1/experiment", json={"name": "red", "arms": arms}).status_code == 200
    looked = {user: {"user": user, "shown": False} for user in ("u000", "u001", "u002", "u003", "u004")}
    answers = {user: client.post("/v1/recommend", json=asked).json() for user, asked in looked.items()}
    assert {answer["arm"] for answer in answers.values()} == {"control", "no-red"}
    for user, answer in answers.items():
        view = client.get("/v1/funnel", params={"user": user}).json()
        assert view["bundle"] == answer["bundle"]
        first = {"control": "Diversity", "no-red": "Exclude"}[answer["arm"]]
        assert view["postrank"][0]["kind"] == first
        assert "exposure" not in answer
    assert len(exposure_table(client.app.state.service.store)) == 0
    client.post("/v1/recommend", json={"user": "u000"})
    assert len(exposure_table(client.app.state.service.store)) == 1


def test_bundles_that_lie_ready_are_listed_and_what_is_none_is_not(shop: Path, tmp_path: Path):
    root = tmp_path / "bundles"
    shutil.copytree(shop, root)
    for name, text in {
        "empty": "",
        "list": "[]",
        "other": '{"format": "x"}',
        ".first.1.unfinished": "{}",
    }.items():
        (root / name).mkdir()
        (root / name / "manifest.json").write_text(text)
    (root / "elsewhere").symlink_to(shop / "second")
    settings = ServerSettings(store=f"sqlite:///{tmp_path / 'store.db'}")
    with Client(create_app(root / "first", settings)) as client:
        view = client.get("/v1/bundles").json()
        assert {each["path"] for each in view["available"]} == {"first", "second"}
        names = {each["path"]: each["name"] for each in view["available"]}
        assert names["first"] == view["current"]
        (ready,) = [each for each in view["available"] if each["path"] == "second"]
        swapped = client.post("/v1/bundles", json={"path": ready["path"]}).json()
        assert (swapped["current"], swapped["previous"]) == (ready["name"], names["first"])


def test_the_console_may_run_and_ask_nothing_but_its_own(client: Client):
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert not re.search(r"(?:https?:)?//(?!www\.w3\.org)|<script>|<style|style=|\son\w+=", answer.text)


def test_all_files_of_the_console_are_there_and_no_others(client: Client):
    named = set(re.findall(r'(?:src|href)="console/([\w.]+)"', client.get("/").text))
    assert {"base.css", "app.js", "theme.js", "icon.svg"} <= named
    for name in [*named, *assets()]:
        answer = client.get(f"/console/{name}")
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        for imported in re.findall(r'from "\./([\w.]+)"', answer.text):
            assert imported in assets()
    for name in ("__init__.py", "nothing.js", "..%2Fkeys.py", "%2e%2e/keys.py"):
        assert client.get(f"/console/{name}").status_code == 404
