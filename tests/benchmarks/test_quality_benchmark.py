"""What `quality` has of its own: users as training examples, a filter, and the files of its protocols."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from benchmarks import quality_gowalla, quality_ncf, quality_tutorial
from benchmarks.quality_filter import FilteredTowers, GraphFilter, singular_vectors, split_nearby
from benchmarks.quality_hits import hit_rates
from benchmarks.quality_sets import SetLoader, SetTowers, start_from_factors
from torch.nn import functional

import shortlist as sl
from shortlist.models import Popularity
from shortlist.models.baselines.interactions import training_matrix


@pytest.fixture
def data() -> sl.Dataset:
    generator = np.random.default_rng(3)
    pairs = {(user, int(item)) for user in range(30) for item in generator.integers(0, 20, 6)}
    users, items = zip(*sorted(pairs), strict=True)
    return sl.Dataset(pl.DataFrame({"user_id": users, "item_id": items}), sl.Schema())


def towers(data: sl.Dataset) -> SetTowers:
    history = sl.History("item_id", length=100, dropout=0)
    model = SetTowers(sl.Tower([history], dim=8), sl.Tower([sl.Id("item_id")], dim=8, normalise=False))
    model.build(data)
    model.item_probability.fill_(1 / 20)
    return model


def test_every_item_of_a_user_is_in_the_history_or_to_be_predicted(data: sl.Dataset) -> None:
    loader = SetLoader(data, towers(data).fitted_space(), batch_size=7)
    for batch in loader.epoch(0):
        history, seen = batch["item_id_history"], batch["seen"]
        for row in range(len(seen)):
            targets = batch["item_index"][batch["row"] == row].tolist()
            given = history[row].tolist()
            assert not set(given) & set(targets)
            assert sorted(given + targets) == sorted(seen[row].tolist()) or not given


def test_an_epoch_goes_through_all_users_and_can_start_in_the_middle(data: sl.Dataset) -> None:
    loader = SetLoader(data, towers(data).fitted_space(), batch_size=7, seed=1)
    whole, rest = list(loader.epoch(2)), list(loader.epoch(2, start=3))
    assert len(whole) == len(loader) == 5
    assert len(rest) == 2
    assert sum(len(batch["seen"]) for batch in whole) == 30
    for one, other in zip(whole[3:], rest, strict=True):
        assert torch.equal(one["item_index"], other["item_index"])
    assert not torch.equal(whole[0]["item_index"], next(loader.epoch(3))["item_index"])


def test_the_loss_equals_the_plain_sum_over_the_items_of_others(data: sl.Dataset) -> None:
    model = towers(data)
    batch = next(SetLoader(data, model.fitted_space(), batch_size=6).epoch(0))
    queries = model.query(batch).detach() / model.task.temperature
    items = model.embed_items().clone()
    present = batch["item_index"].unique().tolist()
    chance = 1 - math.exp(-len(batch["item_index"]) / 20)
    total = weight = 0.0
    for row, item in zip(batch["row"].tolist(), batch["item_index"].tolist(), strict=True):
        seen = batch["seen"][row].tolist()
        scores = [
            float(queries[row] @ items[other]) - math.log(chance) for other in present if other not in seen
        ]
        own = float(queries[row] @ items[item])
        loss = math.log(math.exp(own) + sum(map(math.exp, scores))) - own
        share = float(batch["length"][row]) ** -0.5
        total, weight = total + share * loss, weight + share
    assert float(model.compute_loss(batch).detach()) == pytest.approx(total / weight, rel=1e-5)


def test_the_towers_start_with_unit_vectors_that_span_the_leading_directions(data: sl.Dataset) -> None:
    model = towers(data)
    start_from_factors(model, data, seed=0)
    table = model.candidate.encoders["0"].embedding.weight
    assert torch.allclose(table[1:].norm(dim=1), torch.ones(20))
    vectors, _, counts = singular_vectors(data, 8, seed=0)
    assert int(counts.sum()) == len(data)
    assert torch.allclose(vectors.T @ vectors, torch.eye(8), atol=1e-5)


def test_the_filter_is_the_root_of_the_squared_user_item_matrix(data: sl.Dataset) -> None:
    matrix = torch.from_numpy(training_matrix(data).toarray()).clamp(max=1).double()
    users, items = (matrix.sum(axis).clamp(min=1) for axis in (1, 0))
    normal = matrix * users[:, None] ** -0.5 * items**-0.5
    _, values, vectors = torch.linalg.svd(normal, full_matrices=False)
    smooth = (vectors.T * values) @ vectors
    expected = (matrix * users[:, None] ** -0.5 * items**-0.5) @ smooth * items**0.5
    fixed = GraphFilter(data, 21, seed=0)
    found = fixed.queries(data.seen) @ fixed.items.T
    torch.testing.assert_close(found[1:, 1:].double(), expected[1:, 1:], atol=1e-4, rtol=1e-3)


def test_a_filter_with_a_cutoff_is_a_least_squares_fit_of_the_matrix_by_itself(data: sl.Dataset) -> None:
    matrix = torch.from_numpy(training_matrix(data).toarray()).clamp(max=1).double()
    users, items = (matrix.sum(axis).clamp(min=1) ** 0.25 for axis in (1, 0))
    normal = matrix / users[:, None] / items
    gram = normal.T @ normal
    penalty = 0.1 * torch.linalg.eigvalsh(gram)[-1]
    weights = torch.linalg.solve(gram + penalty * torch.eye(len(gram)), gram)
    fixed = GraphFilter(data, 21, seed=0, power=0.25, cutoff=0.1)
    found = fixed.queries(data.seen) @ fixed.items.T
    expected = normal @ weights * items
    torch.testing.assert_close(found[1:, 1:].double(), expected[1:, 1:], atol=1e-4, rtol=1e-3)


def test_a_share_adds_the_towers_scores_to_the_filters(data: sl.Dataset) -> None:
    model, fixed = towers(data), GraphFilter(data, 8, seed=0)
    model.item_vectors.copy_(model.embed_items())
    both = FilteredTowers(model, fixed, share=0.3)
    requests = data.requests_of(torch.arange(1, 31))
    items, scores = both.retrieve(requests, 5, exclude=data.seen.take(torch.arange(1, 31)))
    sums = fixed.queries(requests.history) @ fixed.items.T + 0.3 * (
        model.embed_queries(requests) @ model.item_vectors.T
    )
    seen = data.seen.take(torch.arange(1, 31))
    sums[seen.row_ids(), seen.values] = -torch.inf
    torch.testing.assert_close(scores, sums[:, 1:].topk(5).values)
    torch.testing.assert_close(sums.gather(1, items), scores)


def test_items_that_are_held_out_nearby_are_the_nearest_to_one_of_the_users(data: sl.Dataset) -> None:
    held = torch.from_numpy(split_nearby(data, share=0.4, seed=5))
    vectors = functional.normalize(singular_vectors(data, 256, seed=5)[0], dim=1)
    owners, items = torch.from_numpy(data.person_index), torch.from_numpy(data.item_index)
    for user in owners.unique():
        mine, out = items[owners == user], held[owners == user]
        assert int(out.sum()) == max(1, round(len(mine) * 0.4))
        nearness = vectors[mine] @ vectors[mine].T
        around = [bool((row[out].min() >= row[~out].max() - 1e-6) | out.all()) for row in nearness]
        assert any(around)


def test_gowalla_is_read_as_its_authors_counted_it(data_dir: Path) -> None:
    train, test = quality_gowalla.read()
    assert (len(train), len(test)) == (810_128, 217_242)
    assert len(train.item_vocabulary) - 1 == 40_981
    people, wanted = quality_gowalla.wanted_items(test)
    assert len(people) == 29_858
    assert len(wanted.values) == len(test)
    assert not bool((wanted.values == 0).any())


def test_popularity_finds_some_of_gowallas_test_items(
    data_dir: Path,
) -> None:
    train, test = quality_gowalla.read(50)
    popular = Popularity().fit(train)
    found = quality_gowalla.measure(popular, test)
    assert 0 < found["recall"] < 1
    assert 0 < found["ndcg"] < 1


def test_the_wanted_item_of_ncf_stands_last_among_items_the_user_never_rated(data_dir: Path) -> None:
    train, test, candidates = quality_ncf.read(40)
    assert candidates.shape == (40, 100)
    assert bool((candidates > 0).all())
    assert torch.equal(candidates[:, -1], torch.from_numpy(test.item_index))
    for user, row in zip(test.person_index.tolist(), candidates, strict=True):
        assert not set(row.tolist()) & set(train.seen[user].tolist())


def test_ties_count_against_the_wanted_item(data_dir: Path) -> None:
    train, test, _ = quality_ncf.read(5)

    class Indifferent(Popularity):
        def score(self, requests: sl.data.Requests, items: torch.Tensor) -> torch.Tensor:
            return torch.zeros(items.shape)

    candidates = torch.arange(1, 101).repeat(5, 1)
    assert quality_ncf.measure(Indifferent().fit(train), test, candidates) == {"hr": 0.0, "ndcg": 0.0}


def test_the_split_holds_out_a_fifth_and_a_seen_target_stays_in_the_list(data_dir: Path) -> None:
    train, test = quality_tutorial.tutorial_split()
    assert (len(train), len(test)) == (80_000, 20_000)
    train, test = quality_tutorial.tutorial_split(40)
    assert train.person_index.max() <= 40

    class Listening(Popularity):
        def retrieve(self, requests, k, *, exclude=None, where=None):  # type: ignore[no-untyped-def]
            hidden = torch.zeros(len(requests), self.num_items + 1, dtype=torch.bool)
            hidden[exclude.row_ids(), exclude.values] = True
            self.hidden = torch.cat([self.hidden, hidden])
            return torch.zeros(len(requests), k, dtype=torch.int64), torch.zeros(len(requests), k)

    model = Listening().fit(train)
    model.hidden = torch.zeros(0, model.num_items + 1, dtype=torch.bool)
    assert hit_rates(model, test) == {"hr10": 0.0, "hr100": 0.0, "ndcg10": 0.0}
    rows = test.targets
    assert not model.hidden[torch.arange(len(rows)), torch.from_numpy(test.item_index[rows])].any()
    seen = test.seen.take(torch.from_numpy(test.person_index[rows]))
    assert int(model.hidden.sum()) >= len(seen.values) - 2 * len(rows)
