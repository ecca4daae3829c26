"""From a configuration to a trained funnel."""

from __future__ import annotations

from contextlib import nullcontext

import polars as pl
import pytest
import torch
from config.config_cases import DATA, SMALL, config_of, shop

from shortlist.calibration import Platt
from shortlist.config import load_config, train_funnel
from shortlist.config.calibrating import apart
from shortlist.data import Dataset, Schema
from shortlist.errors import DataError
from shortlist.evaluation import evaluate_ranker
from shortlist.funnel import Funnel, rank
from shortlist.models import BoostedRanker, score_events


def test_the_towers_are_trained_on_the_whole_part(tmp_path):
    config = config_of(tmp_path, SMALL)
    train, _ = config.split(shop())
    trained = train_funnel(config, train)
    assert trained.epochs == 1
    assert trained.funnel.data is train
    assert trained.funnel.retrievers[0].model.data is train
    assert len(trained.funnel.recommend("u01", 3)) == 3


def test_the_ranker_learns_from_events_that_its_retrievers_had_not_seen(tmp_path):
    text = SMALL + "[ranker]\nquery = []\ncandidate = []\nepochs = 1\n"
    config = config_of(tmp_path, text)
    train, _ = config.split(shop())
    steps = []

    def step(name):
        steps.append(name)
        return nullcontext()

    funnel = train_funnel(config, train, step=step).funnel
    assert steps == [
        "training the two towers for the ranker to learn from",
        "training the ranker on recent events",
        "training the two towers",
    ]
    assert funnel.rank.ranker.scores == ("score_twotower", "score_popular")


def test_patience_decides_the_epochs_and_the_whole_part_is_trained_for_as_many(tmp_path):
    text = "[retriever]\ndim = 8\n[training]\nepochs = 30\nlearning_rate = 0.5\npatience = 1\n"
    config = config_of(tmp_path, text)
    train, _ = config.split(shop())
    trained = train_funnel(config, train)
    assert 1 <= trained.epochs < 30
    expected = config.retriever()
    expected.fit(train, **(config.training() | {"epochs": trained.epochs}))
    assert expected.item_vectors.equal(trained.funnel.retrievers[0].model.item_vectors)


def test_a_plateau_goes_by_the_validation_part_and_then_by_the_loss(tmp_path):
    text = "[retriever]\ndim = 8\n[training]\nepochs = 6\nlearning_rate = 0.5\nschedule = 'plateau'\n"
    config = config_of(tmp_path, text + "patience = 1\n")
    train, _ = config.split(shop())
    trained = train_funnel(config, train)
    expected = config.retriever()
    options = {"epochs": trained.epochs, "learning_rate": 0.5, "schedule": "plateau", "monitor": "loss"}
    expected.fit(train, batch_size=1024, seed=0, **options)
    assert expected.item_vectors.equal(trained.funnel.retrievers[0].model.item_vectors)


def test_epochs_that_are_known_are_not_asked_for_again(tmp_path):
    config = config_of(tmp_path, "[retriever]\ndim = 8\n[training]\nepochs = 30\npatience = 1\n")
    assert train_funnel(config, shop(), epochs=2).epochs == 2


def test_a_funnel_of_baselines_needs_no_towers(tmp_path):
    text = "[[funnel.retrieve]]\nkind = 'ItemKNN'\nk = 20\n[[funnel.retrieve]]\nkind = 'Popular'\n"
    funnel = train_funnel(config_of(tmp_path, text), shop()).funnel
    assert [each.name for each in funnel.retrievers] == ["itemknn", "popular"]
    assert len(funnel.recommend("u02", 5)) == 5


def test_too_few_events_to_divide_are_refused(tmp_path):
    config = config_of(tmp_path, "[split]\nby = 'leave_last_out'\ncount = 500\n[ranker]\n")
    with pytest.raises(DataError, match="both parts need events"):
        train_funnel(config, shop())


def test_a_model_of_sequences_is_a_retriever_with_a_training_of_its_own(tmp_path):
    text = """
    [[funnel.retrieve]]
    kind = "Sequential"
    k = 20
    block = "gru"
    dim = 8
    length = 10
    epochs = 1
    batch_size = 16
    """
    config = config_of(tmp_path, text)
    funnel = train_funnel(config, shop()).funnel
    model = funnel.retrievers[0].model
    assert (model.encoding["block"], model.dim, model.length) == ("gru", 8, 10)
    assert funnel.retrievers[0].name == "sequential"
    assert len(funnel.recommend("u01", 3)) == 3
    same = config.sources[0].sequential()
    same.fit(shop(), epochs=1, batch_size=16, seed=config.settings.training.seed)
    assert same.item_vectors.equal(model.item_vectors)


def labelled() -> Dataset:
    """The shop with likes of some events: of what is liked by taste, not by chance."""
    data = shop()
    liked = pl.col("item_id").hash(seed=1) % 3 == 0
    some = pl.when(pl.int_range(pl.len()) % 4 > 0).then(liked)
    events = data.interactions.with_columns(like=some, clicked=liked.cast(pl.Float32))
    return Dataset(events, Schema(timestamp="timestamp"), users=data.users, items=data.items)


def trained(folder, text: str, *, data: Dataset | None = None, label: str = "") -> tuple[Funnel, Dataset]:
    """A funnel of what is popular with this ranker, and the held-out events."""
    written = DATA + (f'label = "{label}"\n' if label else "")
    config = config_of(folder, text + "[[funnel.retrieve]]\nkind = 'Popular'\n", data=written)
    table = labelled() if data is None else data
    table = Dataset(table.interactions, config.schema, users=table.users, items=table.items)
    train, test = config.split(table)
    return train_funnel(config, train).funnel, test


def test_several_objectives_are_learned_from_the_whole_part(tmp_path):
    text = "[ranker]\nepochs = 2\nhidden = [8]\n[ranker.objectives]\n"
    text += "losses = { like = 'click', rating = 'rating' }\n"
    funnel, test = trained(tmp_path, text)
    ranker = funnel.rank.ranker
    assert list(ranker.objectives.losses) == ["like", "rating"]
    expected = load_config(tmp_path / "shortlist.toml").ranker()
    expected.fit(funnel.data, epochs=2)
    assert score_events(expected, test).equal(score_events(ranker, test))


def test_clicks_are_learned_from_labelled_events(tmp_path):
    text = "[ranker]\nloss = 'click'\nepochs = 30\nbatch_size = 128\nquery = []\nlearning_rate = 0.05\n"
    funnel, test = trained(tmp_path, text, label="clicked")
    assert funnel.rank.ranker.loss == "click"
    assert evaluate_ranker(funnel, test)["clicked"]["auc"] > 0.9


def test_a_calibration_of_clicks_is_learned_from_events_that_the_ranker_had_not_seen(tmp_path):
    text = "[ranker]\nloss = 'click'\nepochs = 10\nquery = []\n[funnel]\ncalibration = 'Platt'\n"
    funnel, test = trained(tmp_path, text, label="clicked")
    config = load_config(tmp_path / "shortlist.toml")
    earlier, recent = config.split_again(funnel.data)
    expected = config.ranker()
    expected.fit(earlier, epochs=10)
    assert score_events(expected, test).equal(score_events(funnel.rank.ranker, test))
    scores, labels = score_events(expected, recent), torch.from_numpy(recent.labels)
    assert funnel.rank.calibration.arrays == Platt().fit(scores, labels).arrays


@pytest.mark.parametrize(
    "kind", ["kind = 'BoostedRanker'\ntrees = 5\nmin_data_in_leaf = 5\n", "epochs = 1\n"]
)
def test_a_calibration_of_lists_counts_the_items_that_nobody_finds(tmp_path, kind):
    text = f"[ranker]\nquery = []\ncandidate = []\n{kind}[funnel]\ncalibration = 'Platt'\n"
    funnel, test = trained(tmp_path, text)
    lists = rank.ranking_lists(funnel.retrievers, test, every=True)
    chances = funnel.rank.calibration(funnel.rank.ranker.score_candidates(lists.requests, lists.candidates))
    # Every list has at most one wanted item; so many of them is what the chances add up to.
    assert float(chances.sum()) == pytest.approx(float(lists.labels.sum()), rel=0.35)


def test_what_is_calibrated_on_is_not_learned_from(tmp_path):
    _, recent = config_of(tmp_path, "").split(shop())
    taught, held_out = apart(recent, seed=1)
    assert sorted([*taught.targets, *held_out.targets]) == list(recent.targets)
    assert len(held_out.targets) == round(0.2 * len(recent.targets))
    assert taught.past is recent.past
    assert list(apart(recent, seed=1)[1].targets) == list(held_out.targets)


def test_trees_learn_from_what_the_retrievers_find(tmp_path):
    text = "[ranker]\nkind = 'BoostedRanker'\ntrees = 5\nmin_data_in_leaf = 5\nquery = []\n"
    funnel, _ = trained(tmp_path, text)
    assert isinstance(funnel.rank.ranker, BoostedRanker)
    assert len(funnel.recommend("u01", 3)) == 3


def test_patience_leaves_a_ranker_of_events_the_whole_part(tmp_path):
    text = SMALL + "patience = 1\n[ranker]\nloss = 'click'\nepochs = 1\nquery = []\n"
    config = config_of(tmp_path, text, data=DATA + "label = 'clicked'\n")
    data = Dataset(labelled().interactions, config.schema, users=shop().users, items=shop().items)
    train, test = config.split(data)
    ranker = train_funnel(config, train).funnel.rank.ranker
    expected = config.ranker()
    expected.fit(train, epochs=1)
    assert score_events(expected, test).equal(score_events(ranker, test))


def test_labels_that_are_all_alike_cannot_be_calibrated_on(tmp_path):
    data = labelled()
    liked = Dataset(
        data.interactions.with_columns(clicked=pl.lit(1.0)), data.schema, users=data.users, items=data.items
    )
    text = "[ranker]\nloss = 'click'\nepochs = 1\n[funnel]\ncalibration = 'Platt'\n"
    with pytest.raises(DataError, match=r"none of the .* labels is 0"):
        trained(tmp_path, text, data=liked, label="clicked")
