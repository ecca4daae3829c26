"""`Nearest` through an approximate index: the same candidates, near enough, and never stale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import shortlist as sl
from shortlist.cli.train import searches
from shortlist.errors import BundleError, ConfigError
from shortlist.funnel import item_search
from shortlist.funnel.bundle import load_bundle, save_bundle
from shortlist.funnel.item_search import ItemSearch
from shortlist.funnel.retrieve import Nearest
from shortlist.index import Approximate, leaves


@pytest.fixture(autouse=True)
def small_catalogues_are_indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_search, "WORTHWHILE_ITEMS", 100)
    monkeypatch.setattr(leaves, "FLAT_ROWS", 100)


@pytest.fixture(scope="module")
def data() -> sl.Dataset:
    return sl.datasets.synthetic(users=300, items=1200, events=40_000, seed=1)


@pytest.fixture(scope="module")
def towers(data: sl.Dataset) -> sl.TwoTower:
    model = sl.TwoTower(
        query=sl.Tower([sl.History("item_id")], dim=16), candidate=sl.Tower([sl.Id("item_id")], dim=16)
    )
    model.fit(data, epochs=2, seed=0)
    return model


def overlap(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found[:, :, None] == exact[:, None, :]).any(2).float().mean())


def test_a_large_catalogue_is_searched_through_an_index_that_finds_most_of_the_exact_candidates(
    data: sl.Dataset, towers: sl.TwoTower
) -> None:
    nearest = Nearest(towers, k=50).fit(data)
    assert nearest.search is not None
    assert nearest.search.recall > 0.9
    requests = data.requests_of(torch.arange(1, 200))
    found, scores = nearest.retrieve(requests, 50)
    exact, exact_scores = towers.retrieve(requests, 50)
    assert overlap(found, exact) > 0.9
    same = found[:, 0] == exact[:, 0]
    assert float(same.float().mean()) > 0.9
    torch.testing.assert_close(scores[same, 0], exact_scores[same, 0])
    assert (scores.diff(dim=1) <= 0).all()


def test_exclusions_and_filters_hold(data: sl.Dataset, towers: sl.TwoTower) -> None:
    nearest = Nearest(towers, k=50).fit(data)
    requests = data.requests_of(torch.arange(1, 100))
    seen = data.seen.take(torch.arange(1, 100))
    allowed = torch.arange(len(data.item_vocabulary)) % 7 == 3
    found, _ = nearest.retrieve(requests, 20, exclude=seen, where=allowed)
    assert allowed[found[found > 0]].all()
    rows = torch.arange(99)[:, None].expand_as(found)
    pairs = set(zip(seen.row_ids().tolist(), seen.values.tolist(), strict=True))
    assert not pairs & set(zip(rows[found > 0].tolist(), found[found > 0].tolist(), strict=True))
    only = torch.zeros_like(allowed)
    only[5] = True
    assert nearest.retrieve(requests, 3, where=only)[0].tolist() == [[5, 0, 0]] * 99


def test_a_model_that_is_trained_on_is_indexed_again(data: sl.Dataset) -> None:
    model = sl.TwoTower(
        query=sl.Tower([sl.History("item_id")], dim=8), candidate=sl.Tower([sl.Id("item_id")], dim=8)
    )
    model.fit(data, epochs=1, seed=0)
    nearest = Nearest(model, k=50).fit(data)
    requests = data.requests_of(torch.arange(1, 100))
    nearest.retrieve(requests, 50)
    model.fit(data, epochs=2, seed=5)
    assert overlap(nearest.retrieve(requests, 50)[0], model.retrieve(requests, 50)[0]) > 0.9


def test_recall_1_and_models_without_embeddings_are_searched_exactly(
    data: sl.Dataset, towers: sl.TwoTower
) -> None:
    exact = Nearest(towers, k=50, recall=1).fit(data)
    assert exact.search is None
    requests = data.requests_of(torch.arange(1, 50))
    torch.testing.assert_close(exact.retrieve(requests, 50), towers.retrieve(requests, 50))
    assert Nearest(sl.models.EASE().fit(data)).fit(data).search is None
    with pytest.raises(ConfigError, match="recall is 0"):
        Nearest(towers, recall=0)


def test_a_bundle_keeps_the_recall_and_answers_the_same(
    data: sl.Dataset, towers: sl.TwoTower, tmp_path: Path
) -> None:
    funnel = sl.Funnel(retrieve=[Nearest(towers, k=100, recall=0.8)], size=10, data=data)
    save_bundle(funnel, tmp_path / "bundle")
    loaded = load_bundle(tmp_path / "bundle")
    retriever = loaded.retrievers[0]
    assert isinstance(retriever, Nearest)
    assert retriever.recall == 0.8
    users = data.user_vocabulary.ids[:20]
    assert loaded.recommend(users).frame.equals(funnel.recommend(users).frame)


def test_a_bundle_keeps_the_index_and_does_not_build_it_again(
    data: sl.Dataset, towers: sl.TwoTower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    funnel = sl.Funnel(retrieve=[Nearest(towers, k=100)], size=10, data=data)
    kept = funnel.retrievers[0].search
    save_bundle(funnel, tmp_path / "bundle")
    assert (tmp_path / "bundle" / "retriever-0" / "items.index").is_file()

    def build(*args: object, **options: object) -> ItemSearch:
        raise AssertionError("the index was built again")

    monkeypatch.setattr(ItemSearch, "build", build)
    loaded = load_bundle(tmp_path / "bundle")
    search = loaded.retrievers[0].search
    assert search.recall == kept.recall
    assert search.index.curve() == kept.index.curve()
    users = data.user_vocabulary.ids[:50]
    assert loaded.recommend(users).frame.equals(funnel.recommend(users).frame)
    exact = sl.Funnel(retrieve=[Nearest(towers, k=100, recall=1)], size=10, data=data)
    save_bundle(exact, tmp_path / "exact")
    assert not list((tmp_path / "exact").rglob("*.index"))
    assert load_bundle(tmp_path / "exact").retrievers[0].search is None


@pytest.mark.parametrize("items", [1199, 1200])
def test_an_index_of_other_items_than_the_models_is_refused(
    towers: sl.TwoTower, tmp_path: Path, items: int
) -> None:
    ids = np.arange(items) + (items == 1200) * 5 + 1
    Approximate(16).fit(ids, towers.item_vectors[1 : items + 1].numpy()).save(tmp_path / "items.index")
    with pytest.raises(BundleError, match="items with 16 values each, the model has 1,200 with 16"):
        ItemSearch.load(tmp_path / "items.index", towers, recall=0.9)


def test_an_index_that_ranks_by_something_else_is_refused(towers: sl.TwoTower, tmp_path: Path) -> None:
    ids, vectors = np.arange(1, 1201), towers.item_vectors[1:].numpy()
    Approximate(16, metric="l2").fit(ids, vectors).save(tmp_path / "items.index")
    with pytest.raises(BundleError, match="it searches by 'l2', not by inner product"):
        ItemSearch.load(tmp_path / "items.index", towers, recall=0.9)


def test_training_says_what_recall_the_index_gives(data: sl.Dataset, towers: sl.TwoTower) -> None:
    funnel = sl.Funnel(retrieve=[Nearest(towers, k=100, name="towers"), sl.retrieve.Popular()], data=data)
    (line,) = searches(funnel)
    assert line.startswith("retriever 'towers': the approximate index over 1,200 items finds ")
    assert line.endswith("% of the exact 100 candidates")
