"""Every table of shortlist.toml: what is left out has the class's default, what is given arrives."""

from __future__ import annotations

import inspect

import pytest
from config.config_cases import config_of, shop, write_tables

from shortlist.config import load_config, train_funnel
from shortlist.config.sections import RankerSection, RetrieverSection
from shortlist.data import EventType, History, Id, Number, Schema, Tags
from shortlist.errors import ConfigError
from shortlist.funnel.rank import fit as fit_ranker
from shortlist.models import EASE, Ranker, TwoTower
from shortlist.nn import Tower
from shortlist.nn.bodies import DCN, DeepFM
from shortlist.postrank import Cap, Diversity, Exclude, Freshness
from shortlist.tasks import Retrieval

POPULAR = "[[funnel.retrieve]]\nkind = 'Popular'\n"


def test_a_file_of_one_key_describes_the_default_model(tmp_path):
    config = config_of(tmp_path, "", data='[data]\ninteractions = "events.csv"\n')
    query, candidate = (Id("user_id"), History("item_id")), (Id("item_id"),)
    assert config.schema == Schema()
    assert config.retriever().config() == TwoTower(Tower(query), Tower(candidate)).config()
    assert config.ranker() is None
    assert config.postrank == ()
    assert [source.kind for source in config.sources] == ["TwoTower"]
    assert config.bundle == tmp_path / "bundle"


def test_an_empty_ranker_table_describes_the_default_ranker(tmp_path):
    config = config_of(tmp_path, "[ranker]\n")
    query, candidate = (Id("user_id"), History("item_id")), (Id("item_id"),)
    expected = Ranker(query, candidate, scores=["score_twotower", "score_popular"])
    assert config.ranker().config() == expected.config()
    assert config.ranking.training() == {}


def test_the_training_defaults_are_those_of_fit(tmp_path):
    given = config_of(tmp_path, "").training()
    parameters = inspect.signature(TwoTower.fit).parameters
    assert given == {name: parameters[name].default for name in ("epochs", "batch_size", "seed")}


def test_every_key_of_the_retriever_arrives(tmp_path):
    text = """
    [retriever]
    query = [{ kind = "Id", column = "user_id", dim = 8 }, { kind = "Number", column = "age", buckets = 5 }]
    candidate = [{ kind = "Tags", column = "genres", separator = ";" }]
    dim = 8
    hidden = [16, 4]
    dropout = 0.25
    normalise = false
    temperature = 1.5
    correct_sampling_bias = false
    remove_accidental_hits = false
    num_hard_negatives = 7
    negatives = "mixed"
    num_negatives = 5
    queue_size = 0
    objective = "softmax"
    calibration = 0.5
    precision = "bfloat16"
    mask_seen = true
    """
    model = config_of(tmp_path, text).retriever()
    options = {"dim": 8, "hidden": [16, 4], "dropout": 0.25, "normalise": False}
    task = Retrieval(
        temperature=1.5,
        correct_sampling_bias=False,
        remove_accidental_hits=False,
        num_hard_negatives=7,
        negatives="mixed",
        num_negatives=5,
        queue_size=0,
        objective="softmax",
        calibration=0.5,
        precision="bfloat16",
    )
    expected = TwoTower(
        Tower([Id("user_id", dim=8), Number("age", buckets=5)], **options),
        Tower([Tags("genres", separator=";")], **options),
        task=task,
        mask_seen=True,
    )
    assert model.config() == expected.config()
    assert set(RetrieverSection.model_fields) == {
        line.split()[0] for line in text.splitlines() if " = " in line
    }


def test_every_key_of_the_training_arrives(tmp_path):
    text = (
        "[training]\nepochs = 3\nbatch_size = 9\nlearning_rate = 0.5\nschedule = 'linear'\nwarmup_steps = 2\n"
        "max_grad_norm = 4\nprecision = 'bfloat16'\npatience = 2\nseed = 5\n"
    )
    assert config_of(tmp_path, text).training() == {
        "epochs": 3, "batch_size": 9, "learning_rate": 0.5, "schedule": "linear", "warmup_steps": 2,
        "max_grad_norm": 4.0, "precision": "bfloat16", "seed": 5,
    }  # fmt: skip


def test_every_key_of_the_ranker_arrives(tmp_path):
    text = """
    [ranker]
    query = [{ kind = "Number", column = "age" }]
    candidate = [{ kind = "Tags", column = "genres" }]
    kind = "Ranker"
    loss = "lambdaloss"
    dim = 4
    embedding_scale = 0.1
    cross_layers = 1
    hidden = [8]
    dropout = 0.0
    epochs = 2
    batch_size = 3
    learning_rate = 0.1
    """
    config = config_of(tmp_path, text)
    expected = Ranker(
        [Number("age")], [Tags("genres")], scores=["score_twotower", "score_popular"],
        dim=4, embedding_scale=0.1, cross_layers=1, hidden=[8], dropout=0.0, loss="lambdaloss",
    )  # fmt: skip
    assert config.ranker().config() == expected.config()
    assert config.ranking.training() == {"epochs": 2, "batch_size": 3, "learning_rate": 0.1}
    keys = {line.split()[0] for line in text.splitlines() if " = " in line}
    assert set(RankerSection.model_fields) == keys | {"body", "objectives"}
    assert set(config.ranking.training()) <= {*inspect.signature(fit_ranker).parameters, "learning_rate"}


def test_the_body_of_the_ranker_is_a_table_with_a_kind(tmp_path):
    text = "[ranker]\nquery = []\n[ranker.body]\nkind = 'DeepFM'\nhidden = [8, 4]\n"
    assert config_of(tmp_path, text).ranker().body == DeepFM(hidden=(8, 4))
    short = "[ranker]\nbody = { kind = 'DCN', projection_dim = 4, num_experts = 2 }\n"
    assert config_of(tmp_path, short).ranker().body == DCN(projection_dim=4, num_experts=2)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("kind = 'DeepFn'", r"kind 'DeepFn' is unknown.*\[ranker.body\].*did you mean 'DeepFM'"),
        ("hidden = [8]", r"'kind' is missing.*\[ranker.body\]"),
        ("kind = 'FM', hidden = [8]", r"unknown key 'hidden'.*\[ranker.body\], kind = 'FM'"),
        ("kind = 'DeepFM', hidden = ['a']", r"hidden.*\[ranker.body\]"),
        ("kind = 'DeepFM', hidden = []", r"hidden is \[\].*\[ranker.body\]"),
        ("kind = 'DIN'", r"history in the light of the candidate.*\[ranker\]"),
    ],
)
def test_a_mistake_in_the_body_names_its_table(tmp_path, body, says):
    with pytest.raises(ConfigError, match=says):
        config_of(tmp_path, f"[ranker]\nbody = {{ {body} }}\n")


def test_a_ranker_of_scores_alone_is_one_with_empty_lists(tmp_path):
    ranker = config_of(tmp_path, "[ranker]\nquery = []\ncandidate = []\n").ranker()
    assert ranker.query_features == ranker.candidate_features == ()
    assert ranker.scores == ("score_twotower", "score_popular")


def test_a_tower_without_features_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"at least one feature.*\[retriever\]"):
        config_of(tmp_path, "[retriever]\nquery = []\n")


def test_event_types_become_a_schema(tmp_path):
    data = (
        '[data]\ninteractions = "e.csv"\nevent = "kind"\n[data.events."a view"]\nweight = 0.2\n'
        "[data.events.hide]\nnegative = true\nhistory = false\n"
    )
    schema = config_of(tmp_path, "", data=data).schema
    assert schema.events == {"a view": EventType(0.2), "hide": EventType(negative=True, history=False)}


def test_the_funnel_is_put_together_as_the_file_says(tmp_path):
    text = """
    [[funnel.retrieve]]
    kind = "EASE"
    l2 = 20.0
    k = 30
    name = "linear"
    recall = 0.9
    [[funnel.retrieve]]
    kind = "Popular"
    k = 5
    [funnel]
    size = 4
    [[postrank]]
    kind = "Diversity"
    strength = 0.4
    by = "genres"
    [[postrank]]
    kind = "Cap"
    column = "genres"
    at_most = 1
    [[postrank]]
    kind = "Exclude"
    items = ["i001"]
    """
    config = config_of(tmp_path, text)
    sources = config.sources
    model = sources[0].baseline().fit(shop())
    funnel = config.funnel([sources[0].around(model), sources[1].popular()], None, data=shop())
    assert isinstance(model, EASE)
    assert model.l2 == 20.0
    assert [(each.name, each.k) for each in funnel.retrievers] == [("linear", 30), ("popular", 5)]
    assert funnel.retrievers[0].recall == 0.9
    assert funnel.postrank == (Diversity(0.4, by="genres"), Cap("genres", at_most=1), Exclude(["i001"]))
    assert funnel.size == 4
    assert funnel.rank is None


@pytest.mark.parametrize(("text", "keep"), [("", 200), ("[funnel]\nkeep = 7\n", 7)])
def test_keep_is_the_rankers(tmp_path, text, keep):
    ranker = "[ranker]\nepochs = 1\nquery = []\ncandidate = []\n"
    funnel = train_funnel(config_of(tmp_path, ranker + text + POPULAR), shop()).funnel
    assert funnel.rank.keep == keep


@pytest.mark.parametrize(
    ("text", "held_out"),
    [
        ("", 90),
        ("[split]\ntest = 0.5\n", 450),
        ("[split]\nby = 'random'\ntest = 0.2\n", 180),
        ("[split]\nby = 'leave_last_out'\n", 60),
        ("[split]\nby = 'leave_last_out'\ncount = 2\n", 120),
    ],
)
def test_the_split_holds_out_what_the_file_says(tmp_path, text, held_out):
    _, test = config_of(tmp_path, text).split(shop())
    # Events of one moment stay together, and users with too few events stay whole.
    assert 0.8 * held_out <= len(test) <= held_out


def test_a_random_split_follows_its_seed(tmp_path):
    texts = [f"[split]\nby = 'random'\nseed = {seed}\n" for seed in (1, 1, 2)]
    parts = [config_of(tmp_path, text).split(shop())[1].interactions for text in texts]
    assert parts[0].equals(parts[1])
    assert not parts[0].equals(parts[2])


def test_the_second_division_takes_a_few_more_of_each_users_last_events(tmp_path):
    config = config_of(tmp_path, "[split]\nby = 'leave_last_out'\n")
    train, _ = config.split(shop())
    _, recent = config.split_again(train)
    counts = recent.interactions["user_id"].value_counts()["count"]
    assert set(counts) == {3}
    assert recent.past is not None


def test_paths_are_relative_to_the_file(tmp_path, monkeypatch):
    (tmp_path / "shop").mkdir()
    write_tables(tmp_path / "shop")
    config_of(tmp_path / "shop", "[bundle]\npath = '../out'\n")
    monkeypatch.chdir(tmp_path)
    config = load_config("shop/shortlist.toml")
    data = config.dataset()
    assert len(data) == 900
    assert data.items is not None
    assert config.bundle.resolve() == tmp_path / "out"


def test_freshness_with_all_its_keys(tmp_path):
    text = "[[postrank]]\nkind = 'Freshness'\nhalf_life = '7d'\nstrength = 0.1\ncolumn = 'year'\n"
    assert config_of(tmp_path, text).postrank == (Freshness("7d", strength=0.1, column="year"),)
