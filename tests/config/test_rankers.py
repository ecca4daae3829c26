"""`[ranker]` in its kinds, and the calibration of its scores: every key arrives, mistakes name the key."""

from __future__ import annotations

import polars as pl
import pytest
from config.config_cases import DATA, config_of, write_tables

from shortlist.calibration import Isotonic, Platt
from shortlist.config.sections import BoostedRankerSection, ObjectivesSection
from shortlist.data import History, Id, Number, Tags
from shortlist.errors import ConfigError
from shortlist.models import BoostedRanker, Objectives, Ranker

SCORES = ["score_twotower", "score_popular"]


def keys_of(text: str) -> set[str]:
    return {line.split()[0] for line in text.splitlines() if " = " in line}


def test_every_key_of_the_objectives_arrives(tmp_path):
    text = """
    losses = { like = "click", "a star" = "rating" }
    sharing = "ple"
    experts = 2
    head = [8, 4]
    balance = "pcgrad"
    weights = { like = 0.5 }
    score = { like = 2.0, "a star" = -1.0 }
    """
    ranker = config_of(tmp_path, f"[ranker]\nquery = []\n[ranker.objectives]\n{text}").ranker()
    objectives = Objectives(
        {"like": "click", "a star": "rating"},
        sharing="ple",
        experts=2,
        head=(8, 4),
        balance="pcgrad",
        weights={"like": 0.5},
        score={"like": 2.0, "a star": -1.0},
    )
    assert ranker.config() == Ranker((), [Id("item_id")], objectives=objectives).config()
    assert ranker.scores == ()
    assert set(ObjectivesSection.model_fields) == keys_of(text)


@pytest.mark.parametrize("sharing", ["shared_bottom", "mmoe", "ple"])
@pytest.mark.parametrize("balance", ["", "uncertainty", "gradnorm", "pcgrad"])
def test_every_way_to_share_and_to_balance_can_be_named(tmp_path, sharing, balance):
    text = f"[ranker.objectives]\nlosses = {{ like = 'click' }}\nsharing = '{sharing}'\n"
    objectives = (
        config_of(tmp_path, text + (f"balance = '{balance}'\n" if balance else "")).ranker().objectives
    )
    assert objectives == Objectives({"like": "click"}, sharing=sharing, balance=balance or None)


def test_the_layers_of_several_objectives_are_the_rankers(tmp_path):
    text = "[ranker]\nhidden = [8]\ncross_layers = 1\n[ranker.objectives]\nlosses = { like = 'click' }\n"
    ranker = config_of(tmp_path, text).ranker()
    assert (ranker.body.hidden, ranker.body.cross_layers) == ((8,), 1)


@pytest.mark.parametrize("loss", ["softmax", "lambdaloss", "approx_ndcg", "list_mle"])
def test_a_ranker_of_lists_reads_the_retrievers_scores(tmp_path, loss):
    config = config_of(tmp_path, f"[ranker]\nloss = '{loss}'\n")
    assert (config.ranker().loss, list(config.ranker().scores)) == (loss, SCORES)
    assert config.ranking.learns_from_lists


@pytest.mark.parametrize("loss", ["click", "rating"])
def test_a_ranker_of_events_reads_no_scores(tmp_path, loss):
    config = config_of(tmp_path, f"[ranker]\nloss = '{loss}'\n")
    assert (config.ranker().loss, config.ranker().scores) == (loss, ())
    assert not config.ranking.learns_from_lists


def test_every_key_of_the_boosted_ranker_arrives(tmp_path):
    text = """
    kind = "BoostedRanker"
    query = [{ kind = "Number", column = "age" }]
    candidate = [{ kind = "Tags", column = "genres" }]
    loss = "xe_ndcg"
    trees = 7
    num_leaves = 5
    learning_rate = 0.5
    min_data_in_leaf = 3
    """
    config = config_of(tmp_path, f"[ranker]\n{text}")
    expected = BoostedRanker(
        [Number("age")], [Tags("genres")], scores=SCORES,
        loss="xe_ndcg", trees=7, num_leaves=5, learning_rate=0.5, min_data_in_leaf=3,
    )  # fmt: skip
    assert isinstance(config.ranker(), BoostedRanker)
    assert config.ranker().config() == expected.config()
    assert config.ranking.training() == {}
    assert set(BoostedRankerSection.model_fields) == keys_of(text)


def test_trees_read_the_retrievers_features_but_for_those_that_they_cannot(tmp_path):
    text = """
    [retriever]
    query = [{ kind = "Id", column = "user_id" }, { kind = "History", column = "item_id" }]
    candidate = [{ kind = "Id", column = "item_id" }, { kind = "Text", column = "title" }]
    [ranker]
    kind = "BoostedRanker"
    """
    config = config_of(tmp_path, text)
    assert config.ranker().config() == BoostedRanker([Id("user_id")], [Id("item_id")], scores=SCORES).config()


def test_the_calibration_is_named_beside_keep(tmp_path):
    assert config_of(tmp_path, "[ranker]\n[funnel]\ncalibration = 'Platt'\n").ranking.calibration is Platt
    trees = "[ranker]\nkind = 'BoostedRanker'\n[funnel]\ncalibration = 'Isotonic'\n"
    assert config_of(tmp_path, trees).ranking.calibration is Isotonic
    assert config_of(tmp_path, "[ranker]\n").ranking.calibration is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[ranker]\nkind = 'BostedRanker'\n",
            r"kind 'BostedRanker' is unknown \(.*\[ranker\].*'BoostedRanker'",
        ),
        ("[ranker]\nkind = 3\n", r"kind is 3.*\[ranker\]"),
        ("[ranker]\nlos = 'click'\n", r"unknown key 'los' .*\[ranker\].*did you mean 'loss'"),
        ("[ranker]\nloss = 'clik'\n", r"loss is 'clik'.*\[ranker\].*did you mean 'click'"),
        ("[ranker]\ntrees = 5\n", r"unknown key 'trees' .*\[ranker\]"),
        (
            "[ranker]\nkind = 'BoostedRanker'\ntree = 5\n",
            r"unknown key 'tree' .*toml, \[ranker\]\).*did you mean 'trees'",
        ),
        ("[ranker]\nkind = 'BoostedRanker'\nhidden = [5]\n", r"unknown key 'hidden' .*\[ranker\]"),
        ("[ranker]\nkind = 'BoostedRanker'\nnum_leaves = 1\n", r"num_leaves is 1.*\[ranker\]"),
        ("[ranker]\nkind = 'BoostedRanker'\nloss = 'softmax'\n", r"loss is 'softmax'.*'lambdarank'"),
        (
            "[ranker]\nkind = 'BoostedRanker'\nquery = [{ kind = 'History', column = 'item_id' }]\n",
            r"trees cannot read the history 'item_id_history'.*\[ranker\]",
        ),
        (
            "[ranker]\nkind = 'BoostedRanker'\nquery = [{ kind = 'Numbr', column = 'age' }]\n",
            r"'Numbr' is unknown.*\[\[ranker.query\]\] no. 1.*'Number'",
        ),
        ("[ranker.objectives]\n", r"'losses' is missing .*\[ranker.objectives\]"),
        ("[ranker.objectives]\nlosses = {}\n", r"there is no objective .*\[ranker.objectives\]"),
        (
            "[ranker.objectives]\nlosses = { like = 'clck' }\n",
            r"like is 'clck'.*\[ranker.objectives.losses\].*did you mean 'click'",
        ),
        (
            "[ranker.objectives]\nlosses = { like = 'click' }\nballance = 'pcgrad'\n",
            r"unknown key 'ballance' .*\[ranker.objectives\].*did you mean 'balance'",
        ),
        (
            "[ranker.objectives]\nlosses = { like = 'click' }\nbalance = 'uncertain'\n",
            r"balance is 'uncertain'.*\[ranker.objectives\].*did you mean 'uncertainty'",
        ),
        (
            "[ranker.objectives]\nlosses = { like = 'click' }\nscore = { liek = 1.0 }\n",
            r"score names 'liek' .*\[ranker.objectives\].*did you mean 'like'",
        ),
        (
            "[ranker.objectives]\nlosses = { like = 'click' }\nweights = { like = -1.0 }\n",
            r"like is -1.0.*\[ranker.objectives.weights\]",
        ),
        (
            "[ranker.objectives]\nlosses = { like = 'click' }\nweights = { like = 1 }\nbalance='gradnorm'\n",
            r"balance='gradnorm' would learn them .*\[ranker.objectives\]",
        ),
        (
            "[ranker]\nloss = 'click'\n[ranker.objectives]\nlosses = { like = 'click' }\n",
            r"loss='click' and objectives.*\[ranker\]",
        ),
        (
            "[ranker]\nbody = { kind = 'FM' }\n[ranker.objectives]\nlosses = { like = 'click' }\n",
            r"objectives have layers of their own.*\[ranker\]",
        ),
        (
            "[ranker.objectives]\nlosses = { item_id = 'click' }\n",
            r"'item_id' is an objective and a feature.*\[ranker\]",
        ),
        ("[funnel]\ncalibration = 'Platt'\n", r"no ranker for it to mend .*\[funnel\].*add the table"),
        (
            "[ranker]\n[funnel]\ncalibration = 'Plat'\n",
            r"calibration is 'Plat'.*\[funnel\].*did you mean 'Platt'",
        ),
        (
            "[ranker]\nloss = 'rating'\n[funnel]\ncalibration = 'Platt'\n",
            r"scores are ratings: no chance .*\[funnel\]",
        ),
        (
            "[ranker.objectives]\nlosses = { like = 'click' }\n[funnel]\ncalibration = 'Platt'\n",
            r"sums of several predictions.*\[funnel\]",
        ),
    ],
)
def test_a_mistake_in_the_ranker_is_named_with_its_place(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        config_of(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[ranker.objectives]\nlosses = { ratng = 'rating' }\n",
            r"objective 'ratng' has no column .*\[ranker.objectives\].*did you mean 'rating'",
        ),
        (
            "[ranker.objectives]\nlosses = { word = 'rating' }\n",
            r"labels must be numbers, got String .*\[ranker.objectives\]",
        ),
        ("[ranker]\nloss = 'click'\n", r"every event is a plain positive.*\[ranker\], loss = 'click'"),
        (
            "[ranker]\nkind = 'BoostedRanker'\ncandidate = [{ kind = 'Text', column = 'title' }]\n",
            r"'title' has 16,385 values, and trees can use 256 .*\[ranker\]",
        ),
    ],
)
def test_a_ranker_that_could_not_learn_is_refused_before_anything_is_trained(tmp_path, text, said):
    write_tables(tmp_path)
    events = pl.read_parquet(tmp_path / "events.parquet")
    events.with_columns(word=pl.lit("a")).write_parquet(tmp_path / "events.parquet")
    config = config_of(tmp_path, text)
    with pytest.raises(ConfigError, match=said):
        config.dataset()


def test_labels_beyond_clicks_are_refused_with_the_key(tmp_path):
    write_tables(tmp_path)
    config = config_of(tmp_path, "[ranker]\nloss = 'click'\n", data=DATA + 'label = "rating"\n')
    with pytest.raises(ConfigError, match=r"are no clicks .*\[ranker\], loss = 'click'"):
        config.dataset()


def test_the_default_features_of_a_ranker_are_the_retrievers(tmp_path):
    ranker = config_of(tmp_path, "[ranker.objectives]\nlosses = { like = 'click' }\n").ranker()
    assert ranker.query_features == (Id("user_id"), History("item_id"))
    assert ranker.candidate_features == (Id("item_id"),)
