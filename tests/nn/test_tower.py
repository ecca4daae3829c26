"""Features in, one embedding a row out: their sum, or what hidden layers make of them."""

from __future__ import annotations

import json

import polars as pl
import pytest
import torch
from torch import nn

import shortlist as sl
from shortlist.data.feature_space import FeatureSpace, take
from shortlist.errors import ConfigError, NotFittedError

DATA = sl.Dataset(
    pl.DataFrame(
        {
            "user": [1, 1, 2, 2, 3, 3, 3],
            "item": ["a", "b", "a", "c", "b", "c", "a"],
            "time": [1, 2, 3, 4, 5, 6, 7],
            "device": ["p", "q", "p", None, "q", "q", "p"],
        }
    ),
    sl.Schema("user", "item", timestamp="time"),
    items=pl.DataFrame(
        {
            "item": ["a", "b", "c"],
            "title": ["red hat", None, "hat"],
            "price": [1.0, None, 9.0],
            "genres": ["x|y", "y", None],
            "image": [[1.0, 0.0, 2.0], None, [0.0, 1.0, 1.0]],
        }
    ),
)
QUERY = [
    sl.Id("user"),
    sl.Category("device"),
    sl.Category("device", name="hashed", buckets=7),
    sl.Timestamp("time"),
    sl.History("item", length=3),
    sl.History("item", name="mean_history", length=2, pooling="mean"),
]
CANDIDATE = [
    sl.Id("item"),
    sl.Text("title"),
    sl.Number("price"),
    sl.Number("price", name="bucket", buckets=2),
    sl.Tags("genres"),
    sl.Vector("image"),
]
SPACE = FeatureSpace.fit(DATA, QUERY, CANDIDATE)
ITEMS = SPACE.candidate_batch(torch.arange(4))
REQUESTS = SPACE.query_batch(DATA.requests(torch.arange(len(DATA))))


def built(features: list[sl.Feature], **options) -> sl.Tower:
    torch.manual_seed(0)
    return sl.Tower(features, **{"dim": 8, **options}).build(SPACE)


@pytest.mark.parametrize("hidden", [(), (16,), (16, 4)])
@pytest.mark.parametrize(("features", "batch"), [(QUERY, REQUESTS), (CANDIDATE, ITEMS)])
def test_every_kind_of_feature_becomes_an_embedding_with_finite_gradients(features, batch, hidden):
    tower = built(features, hidden=hidden, dropout=0.1)
    embedding = tower(batch)
    assert embedding.shape == (len(next(iter(batch.values()))), 8)
    (embedding * torch.randn(8)).sum().backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in tower.parameters())


@pytest.mark.parametrize("hidden", [(), (16,)])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize(("features", "batch"), [(QUERY, REQUESTS), (CANDIDATE, ITEMS)])
def test_requests_that_wait_are_embedded_as_by_the_layers(features, batch, normalise, hidden):
    tower = built(features, hidden=hidden, normalise=normalise, dropout=0.3)
    with torch.no_grad():
        for name, weight in tower.named_parameters():
            if name.endswith("_score"):
                weight.normal_()
    tower.eval()
    torch.testing.assert_close(tower.embed(batch), tower(batch).detach(), rtol=1e-5, atol=1e-6)
    first = {name: take(entry, torch.tensor([1])) for name, entry in batch.items()}
    torch.testing.assert_close(tower.embed(first), tower.embed(batch)[1:2], rtol=1e-6, atol=1e-6)


def test_a_tower_in_training_or_with_a_forward_of_its_own_is_embedded_by_that():
    class Doubled(sl.Tower):
        def forward(self, batch):
            return 2 * super().forward(batch)

    torch.manual_seed(0)
    doubled = Doubled(CANDIDATE, dim=8).build(SPACE).eval()
    assert doubled.embed(ITEMS).equal(doubled(ITEMS))
    training = built(CANDIDATE, dropout=0.5)
    assert not training.embed(ITEMS).equal(training.embed(ITEMS))
    with pytest.raises(NotFittedError, match="no layers yet"):
        sl.Tower(CANDIDATE, dim=8).embed(ITEMS)


def test_without_hidden_layers_the_embedding_is_the_sum_of_the_features():
    tower = built(CANDIDATE, normalise=False).eval()
    parts = [tower.encoders[str(n)](ITEMS[each.name]) for n, each in enumerate(CANDIDATE)]
    torch.testing.assert_close(tower(ITEMS), sum(parts))


def test_with_hidden_layers_the_features_stand_side_by_side():
    tower = built(CANDIDATE, hidden=(16,), normalise=False).eval()
    parts = [tower.encoders[str(n)](ITEMS[each.name]) for n, each in enumerate(CANDIDATE)]
    assert [part.shape[1] for part in parts] == [8, 8, 2, 8, 8, 8]
    torch.testing.assert_close(tower(ITEMS), tower.deep(torch.cat(parts, 1)))
    assert tower.deep.in_features == 42


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_normalised_embeddings_have_length_one(hidden):
    lengths = built(CANDIDATE, hidden=hidden)(ITEMS).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(4))
    assert built(CANDIDATE, hidden=hidden, normalise=False)(ITEMS).norm(dim=1).std() > 0


def test_an_item_of_which_nothing_is_known_is_zero_not_nan():
    tower = built([sl.Id("item"), sl.Text("title"), sl.Tags("genres")])
    embedding = tower(ITEMS)[0]
    embedding.sum().backward()
    assert embedding.tolist() == [0.0] * 8
    assert all(each.grad.isfinite().all() for each in tower.parameters())


@pytest.mark.parametrize("hidden", [(), (32,)])
def test_dropout_changes_training_and_not_evaluation(hidden):
    tower = built(CANDIDATE, hidden=hidden, dropout=0.5)
    assert not tower(ITEMS).equal(tower(ITEMS))
    tower.eval()
    assert tower(ITEMS).equal(tower(ITEMS))
    without = built(CANDIDATE, hidden=hidden).eval()
    torch.testing.assert_close(tower(ITEMS), without(ITEMS))


@pytest.mark.parametrize("hidden", [(), (4, 3)])
def test_a_tower_comes_back_from_its_config_and_weights(hidden):
    tower = built(QUERY, hidden=hidden, dropout=0.2, normalise=False).eval()
    again = sl.Tower.from_config(json.loads(json.dumps(tower.config()))).build(SPACE).eval()
    assert again.config() == tower.config()
    again.load_state_dict(tower.state_dict())
    assert again(REQUESTS).equal(tower(REQUESTS))


def test_hidden_layers_allow_features_of_other_widths():
    features = [sl.Id("item", dim=3), sl.Text("title", dim=5)]
    assert built(features, hidden=(6,))(ITEMS).shape == (4, 8)
    assert built([sl.Id("item", dim=8)])(ITEMS).shape == (4, 8)


def test_features_of_other_widths_cannot_be_summed_and_leave_the_tower_as_it_was():
    tower = sl.Tower([sl.Id("item", dim=3), sl.Text("title")], dim=8)
    with pytest.raises(ConfigError, match=r"widths \[3, 8\].*leave the features' dim out, or give.*hidden"):
        tower.build(SPACE)
    assert not tower.is_built


def test_a_tower_is_an_ordinary_module_once_built():
    tower = sl.Tower(CANDIDATE, dim=8)
    assert not tower.is_built
    assert list(tower.parameters()) == []
    with pytest.raises(NotFittedError, match=r"no layers yet; fit the model, or call build"):
        tower(ITEMS)
    assert tower.build(SPACE) is tower
    assert isinstance(tower, nn.Module)
    assert tower.is_built
    assert len(list(tower.parameters())) > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"features": []}, r"at least one feature; such as sl\.Id"),
        ({"dim": 0}, r"dim must be at least 1, got 0 \(Tower\)"),
        ({"dropout": 1.0}, "dropout must be from 0 to below 1"),
        ({"dropout": float("nan")}, "dropout must be from 0 to below 1"),
    ],
)
def test_a_wrong_argument_is_refused_with_the_remedy(arguments, says):
    with pytest.raises(ConfigError, match=says):
        sl.Tower(**{"features": CANDIDATE, **arguments})
