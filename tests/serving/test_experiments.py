"""Funnels side by side: who gets which, and the note of it that outlives the server."""

from __future__ import annotations

import logging
import math
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from benchmarks.store_servers import Postgres, Redis
from cli.cli_cases import shortlist
from hypothesis import given, settings
from hypothesis import strategies as st
from serving.serving_cases import Client, empty, within_a_second

from shortlist.errors import ConfigError, StoreError
from shortlist.funnel import Funnel
from shortlist.serving import ServerSettings, create_app
from shortlist.serving.experiments.experiment import (
    HOLDOUT,
    Arm,
    Experiment,
    assign,
    check_experiment,
    fraction,
)
from shortlist.serving.stores import Event, Exposure, Store, exposure_table, open_store
from shortlist.serving.stores.postgres import MIGRATIONS as POSTGRES_MIGRATIONS
from shortlist.serving.stores.sqlite import APPLICATION, MIGRATIONS

USERS = [f"u{number:03}" for number in range(80)]
ARMS = [{"name": "control", "share": 0.5}, {"name": "no-red", "share": 0.5, "path": "second"}]


def experiment(**settings: Any) -> dict[str, Any]:
    return {"name": "red", "arms": ARMS} | settings


def exposure(number: int, *, user: str = "ann", **settings: Any) -> Exposure:
    facts: dict[str, Any] = {"experiment": "e", "arm": "a", "probability": 0.25, "bundle": "b"}
    return Exposure(f"x{number}", user, 100, items=("i1", "ü"), scores=(0.5, -1.0), **(facts | settings))


@pytest.fixture
def begun(client: Client) -> Client:
    answer = client.put("/v1/experiment", json=experiment())
    assert answer.status_code == 200, answer.text
    return client


def ask(client: Client, user: str | None, **request: Any) -> dict[str, Any]:
    answer = client.post("/v1/recommend", json={"user": user, **request})
    assert answer.status_code == 200, answer.text
    return answer.json()


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_a_fraction_depends_on_salt_and_user_alone(salt: str, user: str):
    value = fraction(salt, user)
    assert 0 <= value < 1
    assert fraction(salt, user) == value


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.sampled_from([0.0, 0.1, 0.5]))
def test_arms_get_their_shares_and_probabilities_make_one(weights: list[int], holdout: float):
    arms = [Arm(name=f"a{n}", share=weight / sum(weights)) for n, weight in enumerate(weights)]
    made = Experiment(name="e", arms=arms, holdout=holdout)
    check_experiment(made)
    found = [assign(made, f"user {number}") for number in range(400)]
    chances = {each.name: each.probability for each in found}
    assert sum(chances.values()) == pytest.approx(1, abs=1e-9) or len(chances) < len(arms) + (holdout > 0)
    for name, count in Counter(each.name for each in found).items():
        chance = chances[name]
        assert abs(count / 400 - chance) < 5 * (chance * (1 - chance) / 400) ** 0.5 + 1e-9


def test_the_same_people_are_held_out_of_every_experiment():
    def held(name: str) -> set[str]:
        made = Experiment(name=name, arms=[Arm(name="a", share=1.0)], holdout=0.3)
        return {user for user in USERS if assign(made, user).name == HOLDOUT}

    assert held("one") == held("two")
    assert 10 < len(held("one")) < 40


def test_another_salt_mixes_the_users_anew():
    arms = [Arm(name="a", share=0.5), Arm(name="b", share=0.5)]
    first, second = (Experiment(name="e", salt=salt, arms=arms) for salt in ("x", "y"))
    same = sum(assign(first, user).name == assign(second, user).name for user in map(str, range(1000)))
    assert 400 < same < 600


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arms": [{"name": "a", "share": 0.4}, {"name": "b", "share": 0.4}]}, "make 0.8"),
        ({"arms": [{"name": "a", "share": 0.5}, {"name": "a", "share": 0.5}]}, "comes twice"),
        ({"arms": [{"name": "holdout", "share": 1}]}, "the holdout's"),
        ({"shadows": [{"name": "control", "path": "second"}]}, "comes twice"),
        ({"arms": [{"name": "a", "share": 1, "path": "../../elsewhere"}]}, "not below"),
        ({"arms": [{"name": "a", "share": 1, "path": "nowhere"}]}, "nowhere"),
        ({"arms": []}, "length >= 1"),
        ({"holdout": 1}, "`float` < 1"),
    ],
)
def test_a_wrong_experiment_is_refused_and_changes_nothing(
    client: Client, settings: dict[str, Any], message: str
):
    answer = client.put("/v1/experiment", json=experiment(**settings))
    assert answer.status_code == 400
    assert message in str(answer.json()["error"])
    assert client.get("/v1/experiment").json() == {}


def test_users_get_the_list_of_their_arm_and_it_is_noted(begun: Client, shop: Path):
    funnels = {"control": Funnel.load(shop / "first"), "no-red": Funnel.load(shop / "second")}
    answers = {user: ask(begun, user) for user in USERS[:20]}
    assert {answer["arm"] for answer in answers.values()} == set(funnels)
    for user, answer in answers.items():
        assert answer["items"] == funnels[answer["arm"]].recommend(user).items
        assert answer["experiment"] == "red"
        assert ask(begun, user)["arm"] == answer["arm"]
        assert ask(begun, user)["exposure"] != answer["exposure"]
    table = exposure_table(begun.app.state.service.store)
    assert len(table) == 60
    kept = {row["id"]: row for row in table.to_dicts()}
    for user, answer in answers.items():
        row = kept[answer["exposure"]]
        assert (row["user"], row["arm"], row["bundle"]) == (user, answer["arm"], answer["bundle"])
        assert row["items"] == answer["items"]
        assert row["scores"] == pytest.approx(answer["scores"])
        assert row["probability"] == 0.5
        assert row["shown"]


def test_who_has_no_name_takes_no_part(begun: Client):
    answer = ask(begun, None, history=["i001"])
    assert "arm" not in answer
    assert len(exposure_table(begun.app.state.service.store)) == 0


def test_the_experiment_is_described_replaced_and_ended(begun: Client):
    found = begun.get("/v1/experiment").json()
    current = begun.get("/v1/bundles").json()["current"]
    assert found["experiment"]["name"] == "red"
    bundles = {each["name"]: each["bundle"] for each in found["bundles"]}
    assert bundles["control"] == current != bundles["no-red"]
    assert begun.put("/v1/experiment", json=experiment(name="two", arms=ARMS[::-1])).status_code == 200
    assert ask(begun, "u001")["experiment"] == "two"
    assert begun.delete("/v1/experiment").json() == {}
    assert "experiment" not in ask(begun, "u001")


def test_those_who_are_held_out_get_the_first_arm(client: Client, shop: Path):
    client.put("/v1/experiment", json=experiment(holdout=0.5, arms=ARMS[::-1]))
    funnel = Funnel.load(shop / "second")
    held = [(user, answer) for user in USERS[:20] if (answer := ask(client, user))["arm"] == HOLDOUT]
    assert held
    for user, answer in held:
        assert answer["items"] == funnel.recommend(user).items
    probabilities = dict(
        exposure_table(client.app.state.service.store).select("arm", "probability").iter_rows()
    )
    assert probabilities == {HOLDOUT: 0.5, "control": 0.25, "no-red": 0.25}


def test_shadows_are_asked_and_seen_by_nobody(client: Client, shop: Path):
    only = [{"name": "control", "share": 1}]
    shadows = [{"name": "next", "path": "second"}]
    client.put("/v1/experiment", json=experiment(arms=only, shadows=shadows))
    answer = ask(client, "u003")
    assert answer["arm"] == "control"
    store = client.app.state.service.store
    assert within_a_second(lambda: len(exposure_table(store)) == 2)
    rows = {row["shown"]: row for row in exposure_table(store).to_dicts()}
    assert rows[False]["id"] == f"{answer['exposure']}:next"
    assert rows[False]["items"] == Funnel.load(shop / "second").recommend("u003").items
    assert 'shortlist_arm_seconds_count{arm="next"} 1.0' in client.get("/metrics").text


def test_an_experiment_outlives_the_server_and_reaches_others(shop: Path, tmp_path: Path):
    settings = ServerSettings(store=f"sqlite:///{tmp_path / 'store.db'}", budget=30.0, longest_wait=30.0)
    with Client(create_app(shop / "first", settings)) as first:
        first.put("/v1/experiment", json=experiment())
        arm = ask(first, "u001")["arm"]
        with Client(create_app(shop / "first", settings)) as second:
            assert ask(second, "u001")["arm"] == arm
            first.delete("/v1/experiment")
            assert within_a_second(lambda: second.get("/v1/experiment").json() == {})


def test_an_experiment_is_taken_up_once_the_store_is_back(
    shop: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    settings = ServerSettings(store=f"sqlite:///{tmp_path / 'store.db'}", budget=30.0, longest_wait=30.0)
    with (
        caplog.at_level(logging.WARNING),
        Client(create_app(shop / "first", settings)) as first,
        Client(create_app(shop / "first", settings)) as second,
    ):
        store = second.app.state.service.store

        def fail(version: int) -> None:
            raise StoreError("the disk is away")

        store.items_since = fail  # which every new arm asks for
        first.put("/v1/experiment", json=experiment())
        assert within_a_second(lambda: "the store's experiment cannot be followed" in caplog.text)
        assert second.get("/v1/experiment").json() == {}
        del store.items_since
        assert within_a_second(lambda: second.get("/v1/experiment").json() != {})


def test_a_server_whose_experiment_is_gone_answers_all_the_same(
    shop: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    address = f"sqlite:///{tmp_path / 'store.db'}"
    store = open_store(address)
    arms = [{"name": "a", "share": 1, "path": "gone"}]
    store.put_setting("experiment", experiment(arms=arms))
    store.close()
    with (
        caplog.at_level(logging.WARNING),
        Client(create_app(shop / "first", ServerSettings(store=address))) as client,
    ):
        assert "arm" not in ask(client, "u001")
        assert "the experiment cannot be taken up" in caplog.text


def test_new_items_come_into_every_arm(begun: Client):
    answers = [ask(begun, user) for user in USERS[:10]]
    gone = answers[0]["items"][0]
    assert begun.delete(f"/v1/items/{gone}").status_code == 200
    time.sleep(0.6)
    for user in USERS[:10]:
        assert gone not in ask(begun, user, k=40)["items"]


def test_a_list_that_could_not_be_noted_is_given_and_says_so(begun: Client):
    store = begun.app.state.service.store

    def fail(exposures: Any) -> None:
        raise StoreError("the disk is full")

    store.add_exposures = fail
    answer = ask(begun, "u001")
    assert answer["cut"] == ["exposure"]
    assert "arm" not in answer


def test_a_person_s_exposures_are_exported_and_erased(begun: Client):
    ask(begun, "u001"), ask(begun, "u002")
    (kept,) = begun.get("/v1/users/u001").json()["exposures"]
    assert kept["experiment"] == "red"
    begun.delete("/v1/users/u001")
    assert begun.get("/v1/users/u001").json()["exposures"] == []
    assert exposure_table(begun.app.state.service.store)["user"].to_list() == ["u002"]


def test_exposures_come_back_as_they_were_kept(store: Store):
    first = exposure(1, context={"device": "ü", "n": None})
    second = exposure(2, user="bob", shown=False, probability=1.0)
    store.add_exposures([])
    store.add_exposures([first, second, first])
    store.add_exposures([second])
    (one, found_one), (two, found_two) = store.exposures_since(0, 10)
    assert (found_one, found_two) == (first, second)
    assert one < two
    assert store.exposures_since(one, 10) == [(two, second)]
    assert store.exposures_since(0, 1) == [(one, first)]
    assert store.exposures_since(two, 10) == []


def test_a_score_that_is_not_finite_does_not_cost_the_exposure(store: Store):
    kept = replace(exposure(1), items=("a", "b", "c"), scores=(math.nan, math.inf, 0.5))
    store.add_exposures([kept, exposure(2)])
    (_, found), (_, other) = store.exposures_since(0, 10)
    assert found.items == kept.items
    assert [math.isnan(score) for score in found.scores] == [True, True, False]
    assert other == exposure(2)
    assert exposure_table(store)["scores"].list.last().to_list() == [0.5, -1.0]


def test_exposures_are_erased_with_their_user(store: Store):
    store.add_exposures([exposure(number, user="ann" if number % 2 else "bob") for number in range(6)])
    assert [each.id for each in store.export_user("ann").exposures] == ["x1", "x3", "x5"]
    assert store.erase_user("ann") == 0  # no events
    assert store.export_user("ann").exposures == ()
    assert [each.id for _, each in store.exposures_since(0, 10)] == ["x0", "x2", "x4"]
    store.add_exposures([exposure(1)])
    assert [each.id for _, each in store.exposures_since(0, 10)] == ["x0", "x2", "x4", "x1"]


def test_settings_are_kept_replaced_and_forgotten(store: Store, address: str):
    assert store.setting("a") is None
    store.put_setting("a", {"x": [1, None, "ü"]})
    store.put_setting("a", {"x": 2})
    again = open_store(address)
    assert again.setting("a") == {"x": 2}
    again.put_setting("a", None)
    again.close()
    assert store.setting("a") is None


def test_a_store_of_the_first_version_keeps_its_events(
    tmp_path: Path, database: Callable[[str], Postgres | Redis]
):
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as old:
        old.executescript(MIGRATIONS[0])
        old.execute("INSERT INTO events (id, user, item, time) VALUES ('1', 'ann', 'i', 5)")
        old.execute(f"PRAGMA application_id = {APPLICATION}")
        old.execute("PRAGMA user_version = 1")
    server = database("postgres")
    empty(server)
    with psycopg.connect(server.address, autocommit=True) as connection:
        connection.execute(POSTGRES_MIGRATIONS[0])
        connection.execute("CREATE TABLE shortlist_version (version INT NOT NULL)")
        connection.execute("INSERT INTO shortlist_version VALUES (1)")
        connection.execute(
            "INSERT INTO shortlist_events (id, \"user\", item, time) VALUES ('1', 'ann', 'i', 5)"
        )
    for address in (f"sqlite:///{path}", server.address):
        store = open_store(address)
        assert store.histories(["ann"], 5) == {"ann": [Event("1", "ann", "i", 5)]}
        store.add_exposures([exposure(1)])
        assert len(store.exposures_since(0, 5)) == 1
        store.close()


@pytest.mark.parametrize("ending", ["parquet", "arrow", "jsonl"])
def test_exposures_are_written_as_a_file(tmp_path: Path, ending: str):
    address = f"sqlite:///{tmp_path / 'store.db'}"
    store = open_store(address)
    store.add_exposures([exposure(1), exposure(2, experiment="other")])
    store.close()
    file = tmp_path / f"out.{ending}"
    answer = shortlist("exposures", file, "--store", address, "--experiment", "e", "--json")
    assert answer.document["exposures"] == 1
    read = {"parquet": pl.read_parquet, "arrow": pl.read_ipc, "jsonl": pl.read_ndjson}[ending]
    (row,) = read(file).to_dicts()
    assert (row["id"], row["items"], row["probability"]) == ("x1", ["i1", "ü"], 0.25)


def test_an_unknown_ending_or_store_is_refused(tmp_path: Path):
    store = f"sqlite:///{tmp_path / 'nowhere.db'}"
    assert "'.txt' is unknown" in shortlist("exposures", tmp_path / "x.txt", "--store", store).err
    assert "no such store" in shortlist("exposures", tmp_path / "x.parquet", "--store", store).err
    assert not (tmp_path / "nowhere.db").exists()


def test_shares_that_do_not_make_one_are_refused():
    with pytest.raises(ConfigError, match=r"make 1\.5"):
        check_experiment(Experiment(name="e", arms=[Arm(name="a", share=1), Arm(name="b", share=0.5)]))
