"""`shortlist init`: what it writes is right, and nothing is lost on the way."""

from __future__ import annotations

import re
import tomllib

import polars as pl
import pytest
from cli.cli_cases import files_in, shortlist, write_shop

from shortlist.cli.template_models import FEATURE_KINDS, RANKER_KINDS
from shortlist.cli.toml_values import toml_key, toml_value
from shortlist.config import load_config
from shortlist.config.sections import BoostedRankerSection, RankerSection, Section, Settings
from shortlist.data import History, Tags, Text
from shortlist.errors import ConfigError
from shortlist.models import BoostedRanker, Objectives, TwoTower
from shortlist.nn import Tower
from shortlist.nn.bodies import BODIES

COMMENTED = re.compile(r"^# (\[.*\]|[a-z_0-9]+ = .*)$", re.MULTILINE)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path)
    return tmp_path


def written(folder):
    return (folder / "shortlist.toml").read_text(encoding="utf-8")


def test_every_key_of_every_section_is_in_the_file(shop):
    shortlist("init", "events.parquet", "--items", "items.parquet")
    tables = [field.annotation for field in Settings.model_fields.values()]
    sections = [each for each in tables if isinstance(each, type) and issubclass(each, Section)]
    for section in (*sections, RankerSection):
        for key in section.model_fields.keys() - {"events", "retrieve", "body", "objectives"}:
            assert re.search(rf"^(# )?{key} = .*  # .", written(shop), re.MULTILINE), key


def test_the_defaults_that_are_commented_out_are_those_of_the_classes(shop):
    shortlist("init", "events.parquet")
    plain = load_config("shortlist.toml")
    examples = ("users", "items", "num_hard_negatives", "schedule", "max_grad_norm", "patience")
    examples += ("embedding_scale",)
    text = written(shop).replace('# calibration = "Platt"', "## calibration")
    for line in examples:
        text = text.replace(f"# {line} = ", f"## {line} = ")
    middle = text.index("# Who finds the candidates")
    head = COMMENTED.sub(r"\1", text[: text.index("# What each type of event")])
    rest = COMMENTED.sub(r"\1", text[text.index("[split]") : middle])
    (shop / "all.toml").write_text(head.replace('event = "event"', "") + rest, encoding="utf-8")
    explicit = load_config("all.toml")
    assert explicit.retriever().config() == plain.retriever().config()
    bare = TwoTower(Tower(plain.query), Tower(plain.candidate))
    assert plain.retriever().config() == bare.config()
    assert explicit.settings.split.model_dump(exclude={"by"}) == plain.settings.split.model_dump(
        exclude={"by"}
    )
    assert explicit.ranking.make(["ease"]).config() == plain.ranking.make(["ease"]).config()


def test_a_file_with_every_comment_taken_off_is_still_right(shop):
    shortlist("init", "events.parquet", "--items", "items.parquet", "--users", "users.parquet")
    text = COMMENTED.sub(r"\1", written(shop)).replace('kind = "Popular"', 'kind = "Popular"\nname = "hits"')
    (shop / "all.toml").write_text(text, encoding="utf-8")
    config = load_config("all.toml")
    assert [source.kind for source in config.sources] == ["TwoTower", "EASE", "ItemKNN", "Popular"]
    assert len(config.postrank) == 6


def test_the_defaults_named_in_the_list_of_kinds_are_those_of_the_classes():
    history, text, tags = History("x"), Text("x"), Tags("x")
    assert f"length = {history.length}" in FEATURE_KINDS
    assert f"dropout = {history.dropout}" in FEATURE_KINDS
    assert f'pooling = "{history.pooling}"' in FEATURE_KINDS
    assert f"ngrams = {text.ngrams}, buckets = {text.buckets}" in FEATURE_KINDS
    assert f'separator = "{tags.separator}"' in FEATURE_KINDS


def test_the_defaults_named_for_the_rankers_are_those_of_the_classes():
    trees, objectives = BoostedRanker(scores=["score"]).config(), Objectives({"like": "click"}).to_dict()
    for key in BoostedRankerSection.model_fields.keys() & trees.keys() - {"query", "candidate"}:
        assert f"{key} = {toml_value(trees[key])}" in RANKER_KINDS
    for key in ("sharing", "experts", "head"):
        assert f"{key} = {toml_value(objectives[key])}" in RANKER_KINDS
    assert all(f'"{body.__name__}"' in RANKER_KINDS for body in BODIES)


def test_features_follow_from_the_columns(shop):
    answer = shortlist(
        "init", "events.parquet", "--users", "users.parquet", "--items", "items.parquet", "--json"
    )
    kinds = {
        side: {each["column"]: each["kind"] for each in features}
        for side, features in answer.document["features"].items()
    }
    assert kinds == {
        "users": {
            "user_id": "Id",
            "item_id": "History",
            "age": "Number",
            "gender": "Category",
            "occupation": "Category",
        },
        "items": {"item_id": "Id", "year": "Category", "genres": "Tags", "title": "Text"},
    }


def test_a_file_that_is_there_is_kept_unless_forced(shop):
    (shop / "shortlist.toml").write_text("mine")
    refused = shortlist("init", "events.parquet")
    assert refused.code == 1
    assert "is there already" in refused.err
    assert "--force" in refused.err
    assert written(shop) == "mine"
    assert shortlist("init", "events.parquet", "--force").code == 0
    assert "[retriever]" in written(shop)


@pytest.mark.parametrize(
    "name",
    ['a "quoted" shop', "back\\slash", "día 日本", "tab\there", "# [not] = 'a table'", "del\x7f", "~shop"],
)
def test_any_path_is_written_as_valid_toml(tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    write_shop(folder)
    monkeypatch.chdir(tmp_path)
    answer = shortlist("init", f"./{name}/events.parquet", "--items", f"./{name}/items.parquet")
    assert answer.code == 0, answer.err
    assert tomllib.loads(written(tmp_path))["data"]["interactions"].endswith(f"{name}/events.parquet")
    assert len(load_config("shortlist.toml").dataset()) == 1500


def test_paths_are_relative_to_the_folder_of_the_file(shop, monkeypatch):
    (shop / "conf").mkdir()
    answer = shortlist("init", "events.parquet", "--items", shop / "items.parquet", "--out", "conf/shop.toml")
    assert "next: shortlist train --config conf/shop.toml" in answer.err
    data = tomllib.loads((shop / "conf" / "shop.toml").read_text(encoding="utf-8"))["data"]
    assert data["interactions"] == "../events.parquet"
    assert data["items"] == str(shop / "items.parquet")
    monkeypatch.chdir("/")
    assert len(load_config(shop / "conf" / "shop.toml").dataset()) == 1500


def test_patterns_and_several_files_are_kept_as_they_are(shop):
    pl.read_parquet("events.parquet").head(10).write_parquet("events-2.parquet")
    assert shortlist("init", "events*.parquet").code == 0
    assert 'interactions = "events*.parquet"' in written(shop)
    assert shortlist("init", "events.parquet", "events-2.parquet", "--force").code == 0
    assert 'interactions = ["events.parquet", "events-2.parquet"]' in written(shop)


def test_columns_that_no_name_tells_can_be_given(shop):
    pl.read_parquet("events.parquet").rename({"user_id": "who", "item_id": "what"}).write_csv("events.csv")
    refused = shortlist("init", "events.csv")
    assert refused.code == 1
    assert "--user-id COLUMN" in refused.err
    assert shortlist("init", "events.csv", "--user-id", "who").code == 1
    given = shortlist("init", "events.csv", "--user-id", "who", "--item-id", "what")
    assert given.code == 0, given.err
    assert load_config("shortlist.toml").schema.item_id == "what"
    misspelt = shortlist("init", "events.csv", "--user-id", "wo", "--item-id", "what", "--force")
    assert "did you mean 'who'" in misspelt.err


def test_columns_with_one_name_become_two_features(shop):
    for table in ("users", "items"):
        frame = pl.read_parquet(f"{table}.parquet")
        repeating = pl.Series("weight", [float(number) for number in range(len(frame))])
        frame.with_columns(repeating, repeating.alias("size")).write_parquet(f"{table}.parquet")
    answer = shortlist(
        "init", "events.parquet", "--users", "users.parquet", "--items", "items.parquet", "--json"
    )
    assert answer.code == 0, answer.err
    names = [each["name"] for features in answer.document["features"].values() for each in features]
    assert len(names) == len(set(names))
    assert "weight" not in names


def test_few_events_leave_the_ranker_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path, events=300)
    assert shortlist("init", "events.parquet").code == 0
    assert load_config("shortlist.toml").ranker() is None
    assert "# [ranker]\n" in written(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.csv"], "no such file"),
        (["events.parquet", "--items", "nowhere.csv"], "no such file"),
        (["events.parquet", "--items", "users.parquet"], "'item_id' is missing"),
        (["items.parquet"], "ids of the users"),
        (["events.parquet", "--out", "shop.txt"], "does not end in .toml"),
        (["events.parquet", "--out", "nowhere/shop.toml"], "has no folder"),
        (["events.parquet", "--out", "folder.toml", "--force"], "is a folder"),
        (["broken.csv"], "broken.csv"),
        (["empty.parquet"], "empty"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(shop, arguments, said):
    (shop / "folder.toml").mkdir()
    (shop / "broken.csv").write_bytes(b"\xff\xfe\x00")
    (shop / "empty.parquet").write_bytes(b"")
    before = files_in(shop)
    answer = shortlist("init", *arguments)
    assert answer.code == 1
    assert said in answer.err
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert files_in(shop) == before


def test_a_value_that_is_not_utf8_is_refused():
    with pytest.raises(ConfigError, match="not UTF-8"):
        toml_value("a\udcff")


@pytest.mark.parametrize("text", ["", "a b", "ä", 'a"b', "a\\b", "\x00\x1f\x7f\n\r\t", "a.b", "日本", "'''"])
def test_strings_and_keys_come_back_from_toml(text):
    assert tomllib.loads(f"{toml_key(text)} = {toml_value([text])}") == {text: [text]}


@pytest.mark.parametrize("value", [True, 0, -3, 0.1, 1e-5, 1e300, [], [[1], ["a"]], {"a": {"b c": 1.5}}, {}])
def test_values_come_back_from_toml(value):
    assert tomllib.loads(f"x = {toml_value(value)}") == {"x": value}
