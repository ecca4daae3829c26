"""Lists over HTTP: the funnel's own, changed by what has just happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from serving.serving_cases import Client

from shortlist.funnel import Funnel


@pytest.fixture(scope="module")
def funnel(shop: Path) -> Funnel:
    return Funnel.load(shop / "first")


def ask(client: Client, **request: Any) -> dict[str, Any]:
    answer = client.post("/v1/recommend", json=request)
    assert answer.status_code == 200, answer.text
    return answer.json()


def send(client: Client, user: str, *items: str, **settings: Any) -> None:
    events = [{"id": f"{user}-{item}", "user": user, "item": item, **settings} for item in items]
    answer = client.post("/v1/events", json={"events": events})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("user", ["u000", "u017", "u079", "a stranger"])
def test_an_answer_is_that_of_the_funnel(client: Client, funnel: Funnel, user: str):
    answer, expected = ask(client, user=user), funnel.recommend(user)
    assert answer["items"] == expected.items
    assert answer["scores"] == pytest.approx(expected.scores, rel=1e-5)
    assert "cut" not in answer
    assert "fallback" not in answer


def test_k_exclusions_and_conditions_are_obeyed(client: Client, funnel: Funnel):
    answer = ask(client, user="u000", k=30, where="\"group\" = 'blue'", fields=["group", "price"])
    assert set(answer["columns"]["group"]) == {"blue"}
    assert len(answer["columns"]["price"]) == len(answer["items"]) == 12
    hidden = answer["items"][:2]
    assert not set(hidden) & set(ask(client, user="u000", k=30, exclude=hidden)["items"])
    seen = set(funnel.explain("u000").history["item_id"])
    assert not seen & set(ask(client, user="u000", k=40)["items"])
    assert seen <= set(ask(client, user="u000", k=48, exclude_seen=False)["items"])


def test_an_explained_answer_says_why_stage_by_stage(client: Client, funnel: Funnel):
    answer = ask(client, user="u003", explain=True)
    assert answer["why"] == funnel.recommend("u003").frame["why"].to_list()
    assert [stage["name"] for stage in answer["stages"]] == ["retrieve", "diversity"]
    assert len(answer["stages"][0]["items"]) == len(answer["stages"][0]["found_by"])
    assert "towers" in answer["stages"][0]["found_by"][0]


def test_the_latest_events_change_the_next_answer(client: Client):
    greens = ["i001", "i005", "i009", "i013"]
    before = ask(client, user="new", k=8, fields=["group"])["columns"]["group"]
    send(client, "new", *greens)
    after = ask(client, user="new", k=8, fields=["group"])
    assert after["columns"]["group"][0] == "green"
    assert after["columns"]["group"].count("green") > before.count("green") + 1
    assert not set(greens) & set(after["items"])


def test_a_session_counts_like_events(client: Client):
    greens = [f"i{number:03}" for number in range(1, 29, 4)]
    answer = ask(client, history=greens, k=5)
    send(client, "new", *greens)
    assert answer["items"] == ask(client, user="new", k=5)["items"]


def test_events_of_unknown_items_do_no_harm(client: Client):
    send(client, "u001", "nothing of the kind")
    assert len(ask(client, user="u001")["items"]) == 6


def test_post_rankers_of_a_request_take_the_place_of_the_funnels(client: Client):
    capped = ask(
        client,
        user="u000",
        k=8,
        postrank=[{"kind": "Cap", "column": "group", "at_most": 2}],
        fields=["group"],
    )
    groups = capped["columns"]["group"]
    assert max(map(groups.count, groups)) == 2
    wrong = client.post("/v1/recommend", json={"postrank": [{"kind": "Diversty"}]})
    assert wrong.status_code == 400
    assert "did you mean 'Diversity'" in wrong.json()["error"]["remedy"]


def test_a_request_that_is_wrong_spoils_no_other_of_its_batch(client: Client):
    from concurrent.futures import ThreadPoolExecutor

    wheres = ["price < 1000", "nonsense <", "colour = 3", "price > 0"] * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda where: client.post("/v1/recommend", json={"user": "u001", "where": where}), wheres
            )
        )
    assert [answer.status_code for answer in answers] == [200, 400, 400, 200] * 4


def test_given_items_are_put_in_order(client: Client, funnel: Funnel):
    items = ["i000", "i001", "i002", "i003", "no such item"]
    answer = client.post("/v1/rank", json={"user": "u001", "items": items}).json()
    assert answer["unknown"] == ["no such item"]
    assert sorted(answer["items"]) == items[:4]
    assert answer["scores"] == sorted(answer["scores"], reverse=True)
    assert answer["items"][0] == "i001"  # u001 keeps to the greens


def test_similar_items_are_of_the_same_kind(client: Client):
    answer = client.get("/v1/similar/i004", params={"k": 5}).json()
    assert "i004" not in answer["items"]
    assert len(answer["items"]) == 5
    assert answer["scores"] == sorted(answer["scores"], reverse=True)
    assert client.get("/v1/similar/i999").status_code == 404
    assert client.get("/v1/similar/i004", params={"k": 0}).status_code == 400
    assert client.get("/v1/similar/i004", params={"n": 3}).status_code == 400


WRONG = [
    ({"k": 0}, "`int` >= 1", "$.k"),
    ({"k": "three"}, "Expected", "$.k"),
    ({"usr": "u1"}, "unknown field", "usr"),
    ({"where": "price >"}, "cannot be read", "where"),
    ({"where": "nothing = 1"}, "cannot be evaluated", ""),
    ({"fields": ["titel"]}, "no column 'titel'", "fields"),
    ({"history": [1.5]}, "Expected", "history"),
    ({"user": "a\x00b"}, "matching regex", "user"),
]


@pytest.mark.parametrize(("request_", "what", "place"), WRONG, ids=[str(each[0]) for each in WRONG])
def test_a_wrong_request_is_told_what_and_where(client: Client, request_: dict, what: str, place: str):
    answer = client.post("/v1/recommend", json=request_)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert what in error["what"]
    assert place in error["what"] + error.get("where", "")
    assert error["remedy"]
    assert "Traceback" not in answer.text
