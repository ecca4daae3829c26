"""What every baseline promises, whatever it computes."""

from __future__ import annotations

import json

import polars as pl
import pytest
import torch
from baseline_cases import ITEMS, asking, checkerboard, events
from safetensors.torch import load, save

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.schema import EventType, Schema
from shortlist.errors import BundleError, ConfigError, DataError, NotFittedError, ShapeError
from shortlist.models.baselines import catalogue_scorer
from shortlist.models.baselines.als import ALS
from shortlist.models.baselines.ease import EASE
from shortlist.models.baselines.item_knn import ItemKNN
from shortlist.models.baselines.popularity import Popularity

PERSONAL = {
    "item_knn": lambda: ItemKNN(neighbours=12),
    "item_knn_jaccard": lambda: ItemKNN(similarity="jaccard", shrinkage=0),
    "ease": lambda: EASE(l2=100),
    "als": lambda: ALS(factors=2, l2=1),
}
EVERY = {"popularity": Popularity, "popularity_now": lambda: Popularity(half_life="1m"), **PERSONAL}

every_model = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
personal_model = pytest.mark.parametrize("make", PERSONAL.values(), ids=PERSONAL)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return checkerboard()


def all_items(batch: int) -> torch.Tensor:
    return torch.arange(1, ITEMS + 1).repeat(batch, 1)


@every_model
def test_a_model_that_was_not_fitted_says_so(make):
    model = make()
    for call in (
        lambda: model.retrieve(asking([1]), 1),
        lambda: model.score(asking([1]), all_items(1)),
        model.state,
        lambda: model.recommend(1),
    ):
        with pytest.raises(NotFittedError, match="fit"):
            call()


@personal_model
def test_everybody_gets_the_unseen_items_of_their_own_colour(make, data):
    model = make().fit(data)
    people = torch.arange(1, len(data.user_vocabulary))
    items, _ = model.retrieve(data.requests_of(people), 7, exclude=data.seen.take(people))
    colours = torch.from_numpy(data.item_vocabulary.decode(items.flatten().tolist()).to_numpy() % 2)
    expected = torch.from_numpy(data.user_vocabulary.ids.to_numpy() % 2)
    assert torch.equal(colours.view(-1, 7), expected[:, None].expand(-1, 7))


@personal_model
def test_a_user_who_was_not_there_in_training_is_answered_by_the_history(make, data):
    model = make().fit(data)
    odd = data.item_vocabulary.encode([1, 3, 5, 7, 9]).tolist()
    items, _ = model.retrieve(asking(odd), 7, exclude=Ragged.from_lists([odd]))
    assert (data.item_vocabulary.decode(items[0].tolist()).to_numpy() % 2 == 1).all()


@every_model
def test_the_list_is_the_scores_in_order_and_ties_go_to_the_lower_index(make, data):
    model = make().fit(data)
    requests = asking([1], [2, 3], [], [9, 9, 4])
    scores = model.score(requests, all_items(4))
    items, values = model.retrieve(requests, ITEMS)
    order = scores.sort(dim=1, descending=True, stable=True)
    assert torch.equal(items, order.indices + 1)
    assert torch.equal(values, order.values)


@every_model
def test_excluded_and_forbidden_items_and_the_unknown_item_never_come_back(make, data):
    model = make().fit(data)
    exclude = Ragged.from_lists([[1, 2, 3, 0, 999], []])
    where = torch.ones(ITEMS + 1, dtype=torch.bool)
    where[[7, 8]] = False
    items, scores = model.retrieve(asking([1, 5], [6]), ITEMS, exclude=exclude, where=where)
    assert sorted(items[0].tolist()) == [0] * 5 + [4, 5, 6, *range(9, ITEMS + 1)]
    assert sorted(items[1].tolist()) == [0] * 2 + [1, 2, 3, 4, 5, 6, *range(9, ITEMS + 1)]
    assert torch.equal(items == 0, scores == -torch.inf)


@every_model
def test_k_results_come_back_when_k_items_are_allowed(make, data):
    model = make().fit(data)
    items, scores = model.retrieve(
        asking([1], []), 4, exclude=Ragged.from_lists([list(range(1, ITEMS - 3)), []])
    )
    assert (items > 0).all()
    assert scores.isfinite().all()
    assert model.retrieve(asking([1]), 1000)[0].shape == (1, ITEMS)


@every_model
def test_nothing_allowed_gives_an_empty_list(make, data):
    items, scores = make().fit(data).retrieve(asking([1]), 3, where=torch.zeros(ITEMS + 1, dtype=torch.bool))
    assert items.tolist() == [[0, 0, 0]]
    assert scores.tolist() == [[-torch.inf] * 3]


@every_model
def test_no_request_gives_no_row(make, data):
    model = make().fit(data)
    nobody = asking()
    assert model.retrieve(nobody, 3, exclude=Ragged.empty(0))[0].shape == (0, 3)
    assert model.score(nobody, torch.zeros(0, 2, dtype=torch.int64)).shape == (0, 2)


@personal_model
def test_requests_without_a_usable_history_get_the_most_popular_items(make):
    data = events([(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 3)], items=5)
    model, popularity = make().fit(data), Popularity().fit(data)
    (without_events,) = data.item_vocabulary.encode([5]).tolist()
    requests = asking([], [0], [999], [without_events])
    assert torch.equal(model.retrieve(requests, 5)[0], popularity.retrieve(requests, 5)[0])
    assert model.score(requests, torch.ones(4, 1, dtype=torch.int64)).flatten().tolist() == [1.0] * 4


@personal_model
def test_the_order_of_the_history_does_not_matter(make, data):
    model = make().fit(data)
    scores = model.score(asking([1, 2, 3, 4], [4, 2, 3, 1]), all_items(2))
    assert torch.equal(scores[0], scores[1])


@every_model
def test_the_answer_does_not_depend_on_who_else_asks(make, data, monkeypatch):
    model = make().fit(data)
    requests = asking([1], [2, 3, 4], [], [5], [6, 7], list(range(1, 12)))
    exclude = Ragged.from_lists([[2], [], [3, 4], [1], [], [1, 2]])
    together = model.retrieve(requests, 6, exclude=exclude)
    scored = model.score(requests, all_items(6))
    monkeypatch.setattr(catalogue_scorer, "BLOCK_SCORES", 1)  # one request at a time
    apart = model.retrieve(requests, 6, exclude=exclude)
    torch.testing.assert_close(apart[1], together[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.score(requests, all_items(6)), scored, rtol=1e-5, atol=1e-6)


@every_model
def test_a_saved_model_gives_the_same_answers_bit_for_bit(make, data):
    model = make().fit(data)
    loaded = type(model).from_state(json.loads(json.dumps(model.config())), load(save(model.state())))
    people = torch.arange(1, len(data.user_vocabulary))
    requests = data.requests_of(people)
    for old, new in zip(model.retrieve(requests, 9), loaded.retrieve(requests, 9), strict=True):
        assert torch.equal(old, new)
    assert torch.equal(
        model.score(requests, all_items(len(people))), loaded.score(requests, all_items(len(people)))
    )
    assert repr(loaded) == repr(model)


@every_model
def test_two_fits_give_the_same_bits(make, data):
    one, two = make().fit(data).state(), make().fit(data).state()
    assert all(torch.equal(one[name], two[name]) for name in one)


@every_model
def test_the_state_of_another_model_is_refused(make):
    with pytest.raises(BundleError, match="holds"):
        type(make()).from_state(make().config(), {"something": torch.zeros(3)})


@every_model
def test_what_users_disliked_or_what_is_no_history_is_not_learnt(make):
    pairs = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]
    kinds = {
        "like": EventType(),
        "dislike": EventType(negative=True),
        "seen": EventType(label=False, history=False),
    }
    table = pl.DataFrame(
        {
            "user_id": [u for u, _ in pairs] + [1, 2, 3],
            "item_id": [i for _, i in pairs] + [3, 3, 3],
            "type": ["like"] * 5 + ["dislike", "dislike", "seen"],
            "time": range(8),
        }
    )
    data = Dataset(table, Schema(timestamp="time", event="type", events=kinds))
    model = make().fit(data)
    first, third = data.item_vocabulary.encode([1, 3]).tolist()
    assert model.score(asking([first]), torch.tensor([[third]])).item() == 0


@personal_model
def test_data_without_any_history_is_refused(make):
    table = pl.DataFrame({"user_id": [1], "item_id": [1], "type": ["seen"]})
    schema = Schema(event="type", events={"seen": EventType(history=False)})
    with pytest.raises(DataError, match="history = true"):
        make().fit(Dataset(table, schema))


@every_model
def test_arguments_that_do_not_fit_are_refused(make, data):
    model = make().fit(data)
    with pytest.raises(ConfigError, match="k must be"):
        model.retrieve(asking([1]), 0)
    with pytest.raises(ShapeError, match="exclude has 2 rows"):
        model.retrieve(asking([1]), 1, exclude=Ragged.empty(2))
    with pytest.raises(ShapeError, match="where"):
        model.retrieve(asking([1]), 1, where=torch.ones(3, dtype=torch.bool))
    with pytest.raises(ShapeError, match="one row a request"):
        model.score(asking([1]), all_items(2))
    with pytest.raises(ShapeError, match="fitted with 24 items"):
        model.score(asking([1]), torch.tensor([[99]]))
    assert model.score(asking([1]), torch.tensor([[0]])).item() == -torch.inf


@every_model
def test_recommend_answers_in_outside_ids_and_leaves_out_what_was_seen(make, data):
    found = make().fit(data).recommend(7, k=5)
    seen = set(data.interactions.filter(pl.col("user_id") == 7)["item_id"])
    assert len(found.items) == 5
    assert not seen & set(found.items)
