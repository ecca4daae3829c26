"""`shortlist train` and `evaluate`: mistakes come before any work, and nothing is left half done."""

from __future__ import annotations

import re
import shutil

import polars as pl
import pytest
from cli.cli_cases import files_in, make_quick, shortlist, write_shop


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path)
    shortlist("init", "events.parquet", "--items", "items.parquet")
    make_quick(tmp_path / "shortlist.toml")
    return tmp_path


def change(folder, old, new):
    file = folder / "shortlist.toml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_bad_rows_are_counted_and_strict_refuses_them(shop):
    events = pl.read_parquet("events.parquet")
    bad = events.head(5).with_columns(user_id=pl.lit(None, pl.String))
    pl.concat([events, bad]).write_parquet("events.parquet")
    strict = shortlist("train", "--strict")
    assert strict.code == 1
    assert "missing user id: 5" in strict.err
    assert not (shop / "bundle").exists()
    answer = shortlist("train", "--json")
    assert answer.document["dropped"] == {"missing user id": 5}
    assert "dropped: missing user id: 5" in answer.err


def test_a_place_that_is_taken_is_refused_before_training(shop):
    (shop / "bundle").mkdir()
    (shop / "bundle" / "mine.txt").write_text("mine")
    answer = shortlist("train")
    assert answer.code == 1
    assert "was not written by shortlist" in answer.err
    assert "rows read" not in answer.err
    assert list(files_in(shop / "bundle")) == ["mine.txt"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[split]", "[splitt]", "did you mean 'split'"),
        ("events.parquet", "nowhere.parquet", "no such file"),
        ('"rating"', '"ratng"', "did you mean 'rating'"),
        ('column = "genres"', 'column = "genre"', "did you mean 'genres'"),
        ('# by = "time"', 'by = "leave_last_out"\ncount = 100000\n#', "both parts need events"),
    ],
)
def test_a_mistake_leaves_no_bundle(shop, old, new, said):
    change(shop, old, new)
    answer = shortlist("train")
    assert answer.code == 1
    assert said in answer.err
    assert answer.out == ""
    assert not (shop / "bundle").exists()
    assert "Traceback" not in answer.err


def test_a_model_that_loses_to_popularity_says_so(shop):
    change(shop, "# temperature = 0.2 ", "temperature = 1000.0 ")
    change(shop, "# correct_sampling_bias = true", "correct_sampling_bias = false")
    change(shop, "# learning_rate = 0.003 ", "learning_rate = 1e-9 ")
    answer = shortlist("train", "--json")
    assert any("twotower loses to plain popularity" in warning for warning in answer.document["warnings"])
    assert "warning: twotower loses" in answer.err


def test_a_new_training_replaces_the_bundle(shop):
    assert shortlist("train").code == 0
    first = files_in(shop / "bundle")
    change(shop, "# size = 12", "size = 3")
    assert shortlist("train").code == 0
    assert files_in(shop / "bundle") != first
    assert len(shortlist("recommend", "u01", "--json").document["recommendations"][0]["items"]) == 3


def test_evaluate_refuses_a_bundle_of_other_columns(trained, tmp_path):
    shutil.copy(trained / "events.parquet", tmp_path)
    text = (trained / "shortlist.toml").read_text(encoding="utf-8")
    text = re.sub(r"^(users|items|label) = .*$", "", text, flags=re.MULTILINE)
    text = re.sub(r'^ +\{ kind = "(Number|Category|Text|Tags)".*$', "", text, flags=re.MULTILINE)
    (tmp_path / "shortlist.toml").write_text(text, encoding="utf-8")
    answer = shortlist("evaluate", "--config", tmp_path / "shortlist.toml", "--bundle", trained / "bundle")
    assert answer.code == 1
    assert "other columns" in answer.err


def test_evaluate_still_works_when_events_were_added(trained, tmp_path):
    for name in ("events.parquet", "users.parquet", "items.parquet", "shortlist.toml"):
        shutil.copy(trained / name, tmp_path)
    events = pl.read_parquet(tmp_path / "events.parquet")
    later = events.tail(30).with_columns(pl.col("timestamp") + 10_000_000, user_id=pl.lit("newcomer"))
    pl.concat([events, later]).write_parquet(tmp_path / "events.parquet")
    answer = shortlist(
        "evaluate", "--config", tmp_path / "shortlist.toml", "--bundle", trained / "bundle", "--json"
    )
    assert answer.code == 0, answer.err
    assert answer.document["test_events"] == pytest.approx(153, abs=3)


def test_only_so_many_events_are_measured(trained, monkeypatch):
    monkeypatch.setattr("shortlist.cli.figures.MOST_EVENTS", 40)
    answers = [shortlist("evaluate", "--config", trained / "shortlist.toml", "--json") for _ in range(2)]
    assert answers[0].document["measured_events"] == 40
    assert answers[0].document == answers[1].document
    assert (
        "40 of the 150 held-out events" in shortlist("evaluate", "--config", trained / "shortlist.toml").out
    )


def test_without_a_bundle_evaluate_names_the_command_that_writes_one(shop):
    answer = shortlist("evaluate")
    assert answer.code == 1
    assert "shortlist train" in answer.err
