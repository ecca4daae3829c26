"""Encoders over padded histories: the same numbers as the ones over ragged histories."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from export.export_cases import attention_towers, mean_towers, people, ranker, rich_towers, sequential
from planted import CANDIDATE, parts

from shortlist.data import Category, Dataset, History, Id, Ragged, Requests, Schema, Tags, Text, Vector
from shortlist.data.growth import with_items
from shortlist.errors import ConfigError
from shortlist.export.contents import Contents
from shortlist.export.dense_ranker import dense_ranker, relative_scores
from shortlist.export.feeds import feeds_of
from shortlist.export.query_models import dense_query
from shortlist.funnel.retrieve import Popular, retrieve
from shortlist.models import Ranker, Sequential, TwoTower
from shortlist.models.ranking.list_loader import relative_columns
from shortlist.nn import Tower
from shortlist.nn.bodies import DCN, DIN, FM, LR, AutoInt, DeepFM, FinalMLP, MaskNet, WideDeep, XDeepFM

HISTORY = History("item_id", length=8, pooling="mean")
TARGET = History("item_id", name="compared", length=8, pooling="target")


def tensors(contents: Contents, names: tuple[str, ...], requests: Requests) -> dict[str, torch.Tensor]:
    place = torch.arange(len(contents.rows))
    feeds = feeds_of([contents.inputs[name] for name in names], contents.tables, requests, place)
    return {name: torch.from_numpy(each) for name, each in feeds.items()}


def contents_of(model: TwoTower | Sequential | Ranker) -> Contents:
    return Contents(np.arange(model.fitted_space().num_items))


def queries(model: TwoTower | Sequential, requests: Requests) -> torch.Tensor:
    contents = contents_of(model)
    table = contents.add_table("vectors", model.item_vectors.numpy())
    dense = dense_query(model, contents, table=table).eval()
    with torch.inference_mode():
        return dense(tensors(contents, dense.names, requests))


MODELS = {
    "mean": mean_towers,
    "attention": attention_towers,
    "every feature": rich_towers,
    "transformer": sequential,
    "two heads": lambda: sequential(heads=2),
    "transformer with gaps": lambda: sequential(time_gaps=True),
    "hstu": lambda: sequential(block="hstu", heads=2),
    "hstu with gaps": lambda: sequential(block="hstu", time_gaps=True),
    "gru": lambda: sequential(block="gru"),
    "gru with gaps": lambda: sequential(block="gru", time_gaps=True),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_padded_history_gives_the_query_of_a_ragged_one(name):
    model = MODELS[name]()
    requests = people(parts()[0])
    assert torch.allclose(queries(model, requests), model.embed_queries(requests), atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_a_history_of_one_event_and_one_without_any_are_answered_too(name):
    model = MODELS[name]()
    history, times = Ragged.from_lists([[3], []]), Ragged.from_lists([[1_700_000_000], []])
    zeros = torch.zeros(2, dtype=torch.int64)
    requests = Requests(zeros, history, times, zeros)
    assert torch.allclose(queries(model, requests), model.embed_queries(requests), atol=2e-6)


SEQUENCES = (
    "transformer",
    "two heads",
    "transformer with gaps",
    "hstu",
    "hstu with gaps",
    "gru",
    "gru with gaps",
)


@pytest.mark.parametrize("name", SEQUENCES)
def test_one_person_without_padding_gets_the_same_query(name):
    model, contents = MODELS[name](), contents_of(MODELS[name]())
    table = contents.add_table("vectors", model.item_vectors.numpy())
    alone = dense_query(model, contents, table=table).unpadded().eval()
    requests = people(parts()[0])
    for row, expected in enumerate(model.embed_queries(requests)):
        with torch.inference_mode():
            found = alone(tensors(contents, alone.names, requests.take(torch.tensor([row]))))
        assert torch.allclose(found[0], expected, atol=2e-6)


def test_items_that_training_never_saw_do_not_count_in_a_mean():
    data = parts()[0]
    unseen = len(data.item_vocabulary)
    items = data.items.vstack(data.items[:1].with_columns(item_id=data.items["item_id"][:1] + "x"))
    more = Dataset(data.interactions, data.schema, users=data.users, items=items)
    model = TwoTower(Tower([HISTORY], dim=8), Tower([Id("item_id")], dim=8))
    model.fit(more, epochs=1, batch_size=128)
    history = Ragged.from_lists([[1, unseen, 2], [unseen]])
    requests = Requests.from_history(history)
    assert torch.allclose(queries(model, requests), model.embed_queries(requests), atol=2e-6)


@pytest.mark.parametrize(
    "feature",
    [
        Category("device", buckets=9),
        Text("device"),
        Tags("device"),
    ],
    ids=lambda feature: type(feature).__name__,
)
def test_a_feature_that_no_device_can_fill_is_refused_by_its_name(feature):
    model = TwoTower(Tower([HISTORY, feature], dim=8), Tower([Id("item_id")], dim=8))
    model.fit(parts()[0], epochs=1, batch_size=128)
    with pytest.raises(ConfigError, match=rf"{type(feature).__name__}\('device'\).*train"):
        queries(model, people(parts()[0]))


def test_a_sequence_model_that_does_not_know_all_items_is_refused():
    data, rows = with_items(parts()[0], pl.DataFrame({"item_id": ["brand new"]}))
    with pytest.raises(ConfigError, match="train it again"):
        queries(sequential().with_items(data, rows), people(parts()[0]))


def test_an_item_that_came_later_has_a_row_without_a_history():
    data, rows = with_items(parts()[0], pl.DataFrame({"item_id": ["brand new"]}))
    grown = mean_towers().with_items(data, rows)
    requests = Requests.from_history(Ragged.from_lists([[1, int(rows[0])], [int(rows[0])]]))
    assert torch.allclose(queries(grown, requests), grown.embed_queries(requests), atol=2e-6)


def test_a_vector_of_users_is_refused():
    data = parts()[0]
    users = data.users.with_columns(pl.Series("face", [[0.5, 0.5]] * len(data.users)))
    faces = Dataset(data.interactions, data.schema, users=users, items=data.items)
    model = TwoTower(Tower([HISTORY, Vector("face")], dim=8), Tower([Id("item_id")], dim=8))
    model.fit(faces, epochs=1, batch_size=128)
    with pytest.raises(ConfigError, match=r"Vector\('face'\)"):
        queries(model, people(parts()[0]))


def test_a_tower_of_user_ids_alone_is_refused():
    model = TwoTower(Tower([Id("user_id")], dim=8), Tower([Id("item_id")], dim=8))
    model.fit(parts()[0], epochs=1, batch_size=128)
    with pytest.raises(ConfigError, match=r"user's id.*History\('item_id'\)"):
        queries(model, people(parts()[0]))


BODIES = {
    "DCN": {},
    "rating": {"loss": "rating", "scores": ()},
    "parallel DCN": {"body": DCN(structure="parallel", batch_norm=True)},
    "mixture": {"body": DCN(projection_dim=4, num_experts=2)},
    "LR": {"body": LR()},
    "FM": {"body": FM()},
    "WideDeep": {"body": WideDeep(hidden=(8,))},
    "DeepFM": {"body": DeepFM(hidden=(8,))},
    "XDeepFM": {"body": XDeepFM(maps=(4,), hidden=(8,))},
    "AutoInt": {"body": AutoInt(attention_dim=8)},
    "FinalMLP": {"body": FinalMLP(hidden_query=(8,), hidden_candidate=(8,), gates=4)},
    "MaskNet": {"body": MaskNet(hidden=(8,))},
    "DIN": {"body": DIN(hidden=(8,))},
}


@pytest.mark.parametrize("name", BODIES)
def test_a_ranker_over_one_request_gives_the_scores_of_one_over_lists(name):
    settings = {**BODIES[name]}
    if settings.get("loss") == "rating":
        model = Ranker((Id("user_id"), HISTORY, TARGET), CANDIDATE, dim=4, **settings)
        model.fit(parts()[0], epochs=1)
    else:
        model = ranker(Id("user_id"), HISTORY, TARGET, **settings)
    model.eval()
    contents = contents_of(model)
    dense, table = dense_ranker(model, contents)
    dense.eval()
    requests = people(parts()[0], 4)
    candidates = retrieve([Popular(9).fit(parts()[0])], requests)
    expected = model.score_candidates(requests, candidates)
    for row in range(len(requests)):
        part = slice(int(candidates.items.offsets[row]), int(candidates.items.offsets[row + 1]))
        inputs = tensors(contents, dense.names, requests.take(torch.tensor([row])))
        inputs["items"] = torch.from_numpy(contents.tables[table])[candidates.items.values[part]]
        if model.scores:
            inputs["scores"] = candidates.features["score_popular"][part, None]
        with torch.inference_mode():
            assert torch.allclose(dense(inputs), expected[part], atol=5e-5), name


def test_relative_scores_are_those_that_rankers_learn_from():
    candidates = retrieve([Popular(30).fit(parts()[0])], people(parts()[0], 2))
    scores = candidates.features["score_popular"][:30]
    first = candidates.take(torch.arange(30), torch.tensor([30]))
    assert torch.allclose(
        relative_scores(scores[:, None]), relative_columns(first, ["score_popular"]), atol=1e-5
    )


def test_equal_scores_have_no_deviation_and_keep_their_places():
    columns = relative_scores(torch.full((5, 1), 0.1))
    assert (columns[:, 0] == 0).all()
    assert torch.allclose(columns[:, 2], 1 / torch.arange(1.0, 6))


def test_sequential_reads_as_history_the_vectors_that_it_scores_with():
    contents = contents_of(sequential())
    table = contents.add_table("vectors", sequential().item_vectors.numpy())
    dense_query(sequential(), contents, table=table)
    assert list(contents.tables) == ["vectors"]
    assert [each.table for each in contents.inputs.values()] == ["vectors"]


def test_two_models_that_are_fed_the_same_share_an_input():
    contents = contents_of(sequential())
    table = contents.add_table("vectors", sequential().item_vectors.numpy())
    first = dense_query(sequential(), contents, table=table)
    assert dense_query(sequential(), contents, table=table).names == first.names
    other = contents.add_table("vectors", mean_towers().item_vectors.numpy())
    assert other == "vectors_2"
    assert dense_query(mean_towers(), contents, table=other).names != first.names


def test_a_schema_without_times_has_requests_without_a_moment():
    data = parts()[0]
    timeless = Dataset(data.interactions, Schema(), items=data.items)
    model = TwoTower(Tower([HISTORY], dim=8), Tower([Id("item_id")], dim=8))
    model.fit(timeless, epochs=1, batch_size=128)
    requests = people(timeless)
    assert torch.allclose(queries(model, requests), model.embed_queries(requests), atol=2e-6)
