"""A funnel that learns of items which came after it was trained."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
import torch
from funnel_cases import POSTRANK, baselines, whole
from planted import CANDIDATE, parts

from shortlist.data import History, Id
from shortlist.data.growth import replace_rows, with_items
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.errors import DataError, SchemaError
from shortlist.funnel import Funnel
from shortlist.funnel.item_search import ItemSearch
from shortlist.funnel.retrieve import Nearest, Popular
from shortlist.models import Sequential, TwoTower
from shortlist.nn import Tower
from shortlist.tasks import Retrieval

NEW = pl.DataFrame(
    {
        "item_id": ["new-green", "new-red", "i003"],
        "title": ["A green thing 99", "A red thing 98", "A grey thing 3, mended"],
        "colours": [["green", "any"], ["red", "any"], ["grey"]],
        "group": ["green", "red", "grey"],
        "price": [10.0, 11.0, 12.0],
    }
)


@pytest.fixture(scope="module")
def towers() -> TwoTower:
    """Two towers that know an item by its features."""
    model = TwoTower(
        Tower([Id("user_id"), History("item_id", length=20), History("group", name="groups")], dim=8),
        Tower(CANDIDATE[1:], dim=8),
        task=Retrieval(temperature=0.2),
    )
    model.fit(parts()[0], epochs=15, batch_size=128, learning_rate=0.02)
    return model


@pytest.fixture(scope="module")
def funnel(towers: TwoTower) -> Funnel:
    retrieve = [Nearest(towers, 40, "towers"), Popular(40)]
    retrieve += [Nearest(model, 40, name) for name, model in baselines().items()]
    return Funnel(retrieve=retrieve, size=10)


def lists(funnel: Funnel, **settings: Any) -> list[list[str]]:
    return [funnel.recommend(user, 60, **settings).items for user in ("u000", "u001", "stranger")]


def test_a_new_item_comes_where_its_features_belong(towers: TwoTower):
    grown = Funnel(retrieve=[Nearest(towers, 50)], size=10).with_items(NEW)
    greens, reds = grown.recommend("u001", 50).items, grown.recommend("u000", 50).items
    assert greens.index("new-green") < 12 < greens.index("new-red")
    assert reds.index("new-red") < 12 < reds.index("new-green")


def test_what_was_known_before_keeps_its_scores(funnel: Funnel):
    grown = funnel.with_items(NEW[:2])
    requests = funnel.data.requests_of(torch.arange(1, 40))
    items = torch.arange(1, 49).repeat(39, 1)
    for before, after in zip(funnel.retrievers, grown.retrievers, strict=True):
        assert torch.equal(before.model.score(requests, items), after.model.score(requests, items))
    assert grown.catalogue.items["item_id"].to_list()[-2:] == ["new-green", "new-red"]
    assert grown.catalogue.items[:49].equals(funnel.catalogue.items)


def test_the_funnel_itself_stays_as_it_was(funnel: Funnel):
    before = lists(funnel)
    funnel.with_items(NEW)
    assert lists(funnel) == before
    assert len(funnel.catalogue) == 49


def test_an_item_that_is_described_anew_is_the_one_that_was_trained_so(towers: TwoTower):
    """What is encoded row by row is what the whole table would give."""
    grown = Funnel(retrieve=[Nearest(towers, 50)]).with_items(NEW)
    model = grown.retrievers[0].model
    assert isinstance(model, TwoTower)
    assert torch.allclose(model.item_vectors, model.embed_items(), atol=1e-6)
    row = grown.catalogue.items.filter(pl.col("item_id") == "i003")
    assert row["title"].item() == "A grey thing 3, mended"
    assert row["picture"].item() is not None  # what was not given stays


def test_growing_item_by_item_is_growing_at_once(funnel: Funnel):
    one_by_one = funnel
    for row in range(len(NEW)):
        one_by_one = one_by_one.with_items(NEW[row : row + 1])
    assert lists(one_by_one) == lists(funnel.with_items(NEW))


def test_every_stage_takes_new_items(towers: TwoTower):
    grown = whole(postrank=POSTRANK).with_items(NEW)
    found = {item for each in lists(grown, exclude_seen=False) for item in each}
    assert found
    trace = grown.run(grown.data.requests_of(torch.arange(5)), size=60)
    assert all(torch.isfinite(candidates.scores).all() for _, candidates in trace.stages)


def test_a_grown_funnel_is_saved_and_read_again(towers: TwoTower, tmp_path):
    grown = Funnel(retrieve=[Nearest(towers, 50), Popular(9)]).with_items(NEW)
    grown.save(tmp_path / "bundle")
    assert lists(Funnel.load(tmp_path / "bundle")) == lists(grown)


def test_an_approximate_index_learns_of_new_items(towers: TwoTower):
    nearest = Nearest(towers, 50)
    nearest.search = ItemSearch.build(towers, parts()[0], k=50, recall=0.9)
    data, rows = with_items(parts()[0], NEW)
    grown = nearest.with_items(data, rows)
    requests = data.requests_of(torch.arange(1, 20))
    for retriever, known in ((grown, 51), (nearest, 49)):
        assert retriever.search is not None
        found, _ = retriever.search.retrieve(retriever.model, requests, 60, exclude=None, where=None)
        assert set(found.flatten().tolist()) - {0} == set(range(1, known))
    exact, _ = grown.model.retrieve(requests, 5)
    assert torch.equal(grown.search.retrieve(grown.model, requests, 5, exclude=None, where=None)[0], exact)


WRONG = [
    (pl.DataFrame({"title": ["x"]}), SchemaError, "missing"),
    (pl.DataFrame({"item_id": ["x"], "colour": ["red"]}), SchemaError, "'colour' is unknown"),
    (pl.DataFrame({"item_id": ["x"], "price": ["dear"]}), SchemaError, "cannot be Float64"),
    (pl.DataFrame({"item_id": ["x", "x"]}), DataError, "comes twice"),
    (pl.DataFrame({"item_id": ["x", None]}), DataError, "missing"),
]


@pytest.mark.parametrize(("items", "kind", "what"), WRONG)
def test_items_that_do_not_fit_are_refused(funnel: Funnel, items: pl.DataFrame, kind: type, what: str):
    with pytest.raises(kind, match=what):
        funnel.with_items(items)


def test_rows_are_replaced_and_added_in_dense_and_ragged_columns():
    rows = torch.tensor([4, 1])
    assert replace_rows(torch.arange(4), rows, torch.tensor([40, 10])).tolist() == [0, 10, 2, 3, 40]
    column = replace_rows(
        Ragged.from_lists([[1], [2, 2], []]), torch.tensor([3, 0]), Ragged.from_lists([[9, 9], []])
    )
    assert column.to_lists() == [[], [2, 2], [], [9, 9]]


def test_a_model_of_sequences_waits_for_its_next_training():
    model = Sequential(dim=8, num_blocks=1, length=10)
    model.fit(parts()[0], epochs=1)
    before = Funnel(retrieve=[Nearest(model, 60)])
    grown = before.with_items(NEW)
    assert lists(grown) == lists(before)
    after_a_new_one = Requests.from_history(Ragged.from_lists([[3, 49, 50], [49]]))
    known = Requests.from_history(Ragged.from_lists([[3], []]))
    answers = [grown.run(each).final.items.to_lists() for each in (after_a_new_one, known)]
    assert answers[0] == answers[1]
