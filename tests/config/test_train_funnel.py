"""From a configuration to a trained funnel."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from config.config_cases import SMALL, config_of, shop

from shortlist.config import train_funnel
from shortlist.errors import DataError


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
