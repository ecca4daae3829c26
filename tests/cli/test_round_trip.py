"""init, train, evaluate, recommend: each command goes on from what the one before wrote."""

from __future__ import annotations

import json

import polars as pl
import pytest
from cli.cli_cases import make_quick, shortlist, write_shop


@pytest.mark.parametrize(("kind", "integer_ids"), [("csv", True), ("parquet", False)])
def test_the_commands_go_on_from_each_other(tmp_path, monkeypatch, kind, integer_ids):
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path, kind, integer_ids=integer_ids)
    init = shortlist("init", f"events.{kind}", "--users", f"users.{kind}", "--items", f"items.{kind}")
    assert init.code == 0
    assert init.out == ""
    assert "next: shortlist train\n" in init.err
    make_quick(tmp_path / "shortlist.toml")

    train = shortlist("train")
    assert train.code == 0, train.err
    for model in ("popularity", "twotower", "ease", "the funnel"):
        assert model in train.out
    assert "1,500 rows read, 1,500 kept" in train.err
    following = train.err.splitlines()[-1].removeprefix("next: shortlist ").split()

    evaluate = shortlist("evaluate")
    assert evaluate.code == 0, evaluate.err
    assert "NDCG@10" in evaluate.out
    assert "possible" in evaluate.out
    assert "diversity" in evaluate.out

    recommend = shortlist(*following)
    assert recommend.code == 0, recommend.err
    assert "found by" in recommend.out
    assert "not among" not in recommend.err

    user = following[1]
    again = shortlist("recommend", user, "-k", 3, "--json").document["recommendations"][0]
    assert again["user"] == (int(user) if integer_ids else user)
    assert [item["rank"] for item in again["items"]] == [1, 2, 3]
    assert isinstance(again["items"][0]["item_id"], int if integer_ids else str)


def test_every_command_answers_in_one_json_document(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path)
    init = shortlist("init", "events.parquet", "--items", "items.parquet", "--json")
    assert init.document["columns"] == {
        "users": "user_id", "items": "item_id", "times": "timestamp", "labels": "rating",
    }  # fmt: skip
    make_quick(tmp_path / "shortlist.toml")
    train, evaluate = shortlist("train", "--json"), shortlist("evaluate", "--json")
    assert train.document["train_events"] + train.document["test_events"] == 1500
    assert train.document["epochs"] == 1
    # What was measured at training is what the bundle gives, and what its manifest says.
    assert evaluate.document["figures"] == train.document["figures"]
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["metrics"]["the funnel/ndcg@10"] == train.document["figures"]["the funnel"]["ndcg@10"]
    stages = {each["stage"]: each for each in evaluate.document["stages"]}
    assert list(stages) == ["possible", "retrieve", "rank", "diversity", "final"]
    lost = sum(each["lost"] for each in stages.values())
    assert lost + stages["final"]["kept"] == pytest.approx(1)
    for answer in (init, train, evaluate):
        assert "next:" not in answer.err


def test_several_types_of_events_are_found_and_train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path)
    events = pl.read_parquet("events.parquet").drop("rating")
    kinds = pl.Series("event", ["view", "buy now", "view", "dislike", "view"] * 300)
    events.with_columns(kinds).write_csv("events.csv")
    init = shortlist("init", "events.csv", "--json")
    assert init.document["event_types"] == ["view", "buy now", "dislike"]
    text = (tmp_path / "shortlist.toml").read_text(encoding="utf-8")
    assert "[data.events.view]\nweight = 1.0\n" in text
    assert '[data.events."buy now"]\nweight = 1.0\n' in text
    assert text.count("\nnegative = true") == 1
    make_quick(tmp_path / "shortlist.toml")
    train = shortlist("train", "--json")
    assert train.code == 0, train.err
    assert shortlist("evaluate", "--json").document["test_events"] == pytest.approx(120, abs=25)


def test_refit_trains_on_all_events_and_leaves_nothing_to_evaluate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path)
    shortlist("init", "events.parquet")
    make_quick(tmp_path / "shortlist.toml", extra="\nrefit = true\n")
    train = shortlist("train", "--json")
    assert train.document["refit"] is True
    assert train.document["figures"]["the funnel"]["ndcg@10"] > 0
    evaluate = shortlist("evaluate")
    assert evaluate.code == 1
    assert "trained on 150 of the 150 held-out events" in evaluate.err
    assert "refit = false" in evaluate.err


def test_a_table_without_times_is_split_at_random(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path)
    pl.read_parquet("events.parquet").select("user_id", "item_id").write_csv("events.csv")
    assert shortlist("init", "events.csv").code == 0
    make_quick(tmp_path / "shortlist.toml")
    assert shortlist("train", "--json").document["test_events"] == 150
