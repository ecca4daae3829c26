"""Clients of TensorFlow Serving and of KServe ask the server as they ask theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from serving.serving_cases import Client

from shortlist.errors import ConfigError
from shortlist.funnel import Funnel
from shortlist.serving import ServerSettings

PREDICT = "/v1/models/default:predict"
INFER = "/v2/models/default/infer"


@pytest.fixture(scope="module")
def funnel(shop: Path) -> Funnel:
    return Funnel.load(shop / "first")


def post(client: Client, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def tensor(
    name: str, *values: Any, datatype: str = "BYTES", shape: list[int] | None = None
) -> dict[str, Any]:
    return {"name": name, "shape": shape or [len(values)], "datatype": datatype, "data": list(values)}


def test_rows_are_answered_in_their_order(client: Client, funnel: Funnel):
    users = [f"u{number:03}" for number in range(20)]
    found = post(client, PREDICT, instances=users)["predictions"]
    for user, each in zip(users, found, strict=True):
        expected = funnel.recommend(user)
        assert each["output_2"] == expected.items
        assert each["output_1"] == pytest.approx(expected.scores, rel=1e-5)


@pytest.mark.parametrize(
    "row",
    ["u017", {"user": "u017"}, {"user_id": "u017"}, {"input_1": ["u017"]}, {"user_id": ["u017"], "k": [6]}],
)
def test_a_user_has_several_names(client: Client, funnel: Funnel, row: Any):
    (found,) = post(client, PREDICT, instances=[row])["predictions"]
    assert found["output_2"] == funnel.recommend("u017").items


def test_columns_say_the_same_as_rows(client: Client):
    rows = [{"user_id": "u001", "k": 3, "device": "phone"}, {"user_id": "u002", "k": 4, "device": "desk"}]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    found = post(client, PREDICT, instances=rows)["predictions"]
    assert post(client, PREDICT, inputs=columns)["outputs"] == {
        name: [each[name] for each in found] for name in ("output_1", "output_2")
    }
    assert [len(each["output_2"]) for each in found] == [3, 4]
    one = post(client, PREDICT, inputs=["u001", "u002"])["outputs"]
    assert one["output_2"][1][:4] == found[1]["output_2"]


def test_what_a_row_asks_for_is_obeyed(client: Client, funnel: Funnel):
    row = {"user": "a stranger", "history": ["i001", "i005"], "where": "\"group\" = 'blue'", "k": 40}
    (found,) = post(client, PREDICT, instances=[row])["predictions"]
    groups = dict(funnel.catalogue.items.select("item_id", "group").iter_rows())
    assert {groups[item] for item in found["output_2"]} == {"blue"}


def test_no_row_at_all_is_no_mistake(client: Client):
    assert post(client, PREDICT, instances=[]) == {"predictions": []}
    assert post(client, PREDICT, inputs={}) == {"outputs": {"output_1": [], "output_2": []}}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "either instances or inputs"),
        ({"instances": ["u001"], "inputs": ["u001"]}, "either instances or inputs"),
        ({"instances": ["u001", {"user": {}}]}, "instances[1], `$.user`"),
        ({"instances": [{"k": 0}]}, "instances[0], `$.k`"),
        ({"instances": [{"context": 3}]}, "instances[0], `$.context`"),
        ({"instances": [{"device": ["a", "b"]}]}, "`$.context"),
        ({"instances": [{"where": "nothing > 1"}]}, "nothing"),
        ({"inputs": {"user": ["a", "b"], "k": [1]}}, "different lengths"),
        ({"instances": ["u001"], "signature_name": "other"}, "serving_default"),
        ({"instances": ["u001"] * 101}, "length <= 100"),
        ({"instance": ["u001"]}, "unknown field"),
    ],
)
def test_a_wrong_prediction_is_told_what_was_wrong(client: Client, body: dict[str, Any], message: str):
    assert message in post(client, PREDICT, 400, **body)["error"]


def test_a_model_of_another_name_is_not_there(client: Client):
    for answer in (
        client.post("/v1/models/other:predict", json={"instances": []}),
        client.get("/v1/models/other"),
        client.get("/v2/models/other/ready"),
    ):
        assert answer.status_code == 404
        assert "'default'" in answer.json()["error"]
    with pytest.raises(ConfigError, match="model_name"):
        ServerSettings(model_name="a/b")


def test_the_status_names_the_bundle_as_a_whole_number(client: Client, shop: Path):
    def version() -> str:
        (status,) = client.get("/v1/models/default").json()["model_version_status"]
        assert status["state"] == "AVAILABLE"
        assert status["status"] == {"error_code": "OK", "error_message": ""}
        assert 0 < int(status["version"]) < 2**63
        return status["version"]

    before = version()
    assert client.post("/v1/bundles", json={"path": "second"}).status_code == 200
    assert version() != before


def test_the_metadata_name_what_a_prediction_takes_and_gives(client: Client):
    found = client.get("/v1/models/default/metadata").json()
    assert found["model_spec"]["name"] == "default"
    signature = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["user_id"]["dtype"] == "DT_STRING"
    assert [signature["outputs"][name]["dtype"] for name in ("output_1", "output_2")] == [
        "DT_FLOAT",
        "DT_STRING",
    ]


def test_a_client_that_names_no_type_of_body_is_answered_unless_it_is_a_page(client: Client):
    content = b'{"instances": ["u001"]}'
    for headers in ({}, {"content-type": "application/x-www-form-urlencoded"}):
        assert client.post(PREDICT, content=content, headers=headers).status_code == 200
        page = headers | {"origin": "http://evil.example"}
        assert client.post(PREDICT, content=content, headers=page).status_code == 415


def test_tensors_are_filled_up_and_counted(client: Client, funnel: Funnel):
    body = {"inputs": [tensor("user", "u001", "u002"), tensor("k", 2, 5, datatype="INT32")]}
    answer = post(client, INFER, id="mine", **body)
    assert answer["model_name"] == "default"
    assert answer["id"] == "mine"
    found = {each["name"]: each for each in answer["outputs"]}
    assert found["counts"]["data"] == [2, 5]
    assert found["ids"]["shape"] == found["scores"]["shape"] == [2, 5]
    assert found["ids"]["datatype"] == "BYTES"
    expected = [funnel.recommend(user, k).items for user, k in (("u001", 2), ("u002", 5))]
    assert found["ids"]["data"] == [*expected[0], "", "", "", *expected[1]]
    assert found["scores"]["data"][2:5] == [0, 0, 0]


def test_histories_and_parameters_are_taken_from_tensors(client: Client):
    history = [["i001", "i005"], ["i002", ""]]
    body = {"inputs": [tensor("history", *history, shape=[2, 2])], "parameters": {"k": 3}}
    (ids,) = post(client, INFER, outputs=[{"name": "ids"}], **body)["outputs"]
    rows = [
        client.post("/v1/recommend", json={"history": [each for each in row if each], "k": 3}).json()["items"]
        for row in history
    ]
    assert ids["data"] == [*rows[0], *rows[1]]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([tensor("user", "a", shape=[2])], "1 values for the shape [2]"),
        ([tensor("user", "a", datatype="TEXT")], "'TEXT' is unknown"),
        ([tensor("user", 3)], "3 is no BYTES"),
        ([tensor("k", True, datatype="INT32")], "True is no INT32"),
        ([tensor("user", "a", "b", shape=[1, 2])], "one value a user"),
        ([tensor("user", "a"), tensor("k", 1, 2, datatype="INT8")], "different lengths"),
        ([tensor("k", 0, datatype="INT64")], "row[0], `$.k`"),
        ([], "length >= 1"),
    ],
)
def test_a_wrong_tensor_is_told_what_was_wrong(client: Client, inputs: list[dict[str, Any]], message: str):
    assert message in post(client, INFER, 400, inputs=inputs)["error"]


def test_unknown_parameters_and_outputs_are_refused(client: Client):
    users = [tensor("user", "u001")]
    assert "did you mean 'where'" in post(client, INFER, 400, inputs=users, parameters={"wher": "x"})["error"]
    assert "did you mean 'ids'" in post(client, INFER, 400, inputs=users, outputs=[{"name": "id"}])["error"]
    many = [tensor("user", *["u001"] * 101)]
    assert "more than 100" in post(client, INFER, 413, inputs=many)["error"]


def test_health_and_metadata_are_in_the_shape_of_kserve(client: Client):
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2").json()["name"] == "shortlist"
    assert client.get("/v2/models/default/ready").json() == {"ready": True, "name": "default"}
    found = client.get("/v2/models/default").json()
    assert found["versions"] == [client.get("/v1/bundles").json()["current"]]
    assert {each["name"]: each["datatype"] for each in found["outputs"]} == {
        "scores": "FP32",
        "ids": "BYTES",
        "counts": "INT32",
    }
    client.app.state.service.draining = True
    refused = client.get("/v2/health/ready")
    assert refused.status_code == 503
    assert refused.json() == {"error": "the server is stopping"}
