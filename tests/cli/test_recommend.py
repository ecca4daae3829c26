"""`shortlist recommend`."""

from __future__ import annotations

import shutil

import polars as pl
import pytest
from cli.cli_cases import shortlist

from shortlist.funnel import load_bundle


@pytest.fixture
def shop(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


def items_of(*arguments):
    answer = shortlist("recommend", *arguments, "--json")
    assert answer.code == 0, answer.err
    return [item for each in answer.document["recommendations"] for item in each["items"]]


def test_the_default_number_is_the_configurations(shop):
    assert len(items_of("u01")) == 12
    assert len(items_of("u01", "-k", 5)) == 5


def test_seen_items_stay_out_unless_they_may_come_again(shop):
    events = load_bundle("bundle").data.interactions
    user = events["user_id"].mode()[0]
    seen = set(events.filter(pl.col("user_id") == user)["item_id"].cast(pl.String))
    assert seen & {item["item_id"] for item in items_of(user, "-k", 100, "--include-seen")}
    assert not seen & {item["item_id"] for item in items_of(user, "-k", 100)}


def test_an_unknown_user_is_answered_and_said_on_standard_error(shop):
    answer = shortlist("recommend", "u01", "nobody", "--json")
    assert [each["known"] for each in answer.document["recommendations"]] == [True, False]
    assert len(answer.document["recommendations"][1]["items"]) == 12
    assert "'nobody' is not among the 80 known" in answer.err


def test_a_condition_is_met_by_every_item(shop):
    found = items_of("u01", "--where", "year > 2020 AND title LIKE '%a%'")
    assert found
    assert all(item["year"] > 2020 and "a" in item["title"] for item in found)


def test_a_condition_that_nothing_meets_leaves_no_item(shop):
    answer = shortlist("recommend", "u01", "--where", "year > 3000")
    assert answer.code == 0
    assert "no item is left" in answer.out


@pytest.mark.parametrize(
    "where", ["yeer > 1", "year +", "year", "", "DROP TABLE x", "1 = 1; 2", "year > 'a'"]
)
def test_what_is_no_condition_is_refused(shop, where):
    answer = shortlist("recommend", "u01", "--where", where)
    assert answer.code == 1
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert "internal" not in answer.err


def test_explain_shows_every_stage(shop):
    answer = shortlist("recommend", "u01", "--explain")
    assert answer.code == 0
    for stage in ("history", "after retrieve", "after rank", "after diversity", "after final"):
        assert stage in answer.out
    document = shortlist("recommend", "u01", "--explain", "--json").document["recommendations"][0]
    assert list(document["stages"]) == ["retrieve", "rank", "diversity", "final"]
    final = [item["item_id"] for item in document["stages"]["final"]]
    assert final == [item["item_id"] for item in document["items"]]
    assert document["history"]


def test_the_order_is_that_of_the_funnel_in_python(shop):
    expected = load_bundle("bundle").recommend("u03", 7).items
    assert [item["item_id"] for item in items_of("u03", "-k", 7)] == expected


def test_without_a_bundle_the_command_that_writes_one_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = shortlist("recommend", "u01")
    assert answer.code == 1
    assert "shortlist train" in answer.err


def test_a_damaged_bundle_is_refused_with_the_file_named(shop, tmp_path):
    shutil.copytree(shop / "bundle", tmp_path / "bundle")
    file = tmp_path / "bundle" / "funnel.json"
    file.write_bytes(file.read_bytes()[:-1] + b" ")
    answer = shortlist("recommend", "u01", "--bundle", tmp_path / "bundle")
    assert answer.code == 1
    assert "funnel.json" in answer.err


def test_ids_that_begin_with_a_dash_follow_two_dashes(shop):
    assert shortlist("recommend", "-x").code == 2
    assert shortlist("recommend", "--", "-x").code == 0
