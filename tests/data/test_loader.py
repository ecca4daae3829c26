"""Batches hold every positive event once an epoch, as one row at a time would."""

from __future__ import annotations

import polars as pl
import pytest
import torch
from data_cases import SCHEMA, interactions, shop

import shortlist as sl
from shortlist.data.feature_space import FeatureSpace, take
from shortlist.data.loader import BatchLoader
from shortlist.errors import ConfigError, DataError

QUERY = [sl.Id("user"), sl.Category("device"), sl.Timestamp("time"), sl.History("item", length=4)]
CANDIDATE = [sl.Id("item"), sl.Text("title"), sl.Vector("image")]


def loader(data: sl.Dataset | None = None, **options) -> BatchLoader:
    data = shop() if data is None else data
    return BatchLoader(data, FeatureSpace.fit(data, QUERY, CANDIDATE), **{"batch_size": 7, **options})


def listed(entry: torch.Tensor | sl.Ragged) -> list:
    return entry.tolist() if isinstance(entry, torch.Tensor) else entry.to_lists()


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(listed(one[name]) == listed(other[name]) for name in one)


@pytest.mark.parametrize("batch_size", [1, 7, 25, 1000])
def test_every_positive_event_comes_exactly_once_an_epoch(batch_size):
    data = shop()
    batches = list(loader(data, batch_size=batch_size).epoch(3))
    assert len(batches) == len(loader(data, batch_size=batch_size))
    got = torch.cat([torch.stack([batch["user_index"], batch["item_index"]], 1) for batch in batches])
    expected = zip(data.user_index[data.targets], data.item_index[data.targets], strict=True)
    assert sorted(map(tuple, got.tolist())) == sorted(expected)
    assert all(len(batch["weight"]) == batch_size for batch in batches[:-1])


def test_a_batch_is_what_its_rows_are_one_at_a_time():
    data = shop()
    ours = loader(data)
    rows = torch.from_numpy(data.targets)
    together = ours.batch(rows)
    for place, row in enumerate(rows.tolist()):
        requests = data.requests([row])
        item = torch.tensor([data.item_index[row]])
        expected = {**ours.space.query_batch(requests), **ours.space.candidate_batch(item)}
        expected |= {"user_index": requests.users, "item_index": item}
        expected |= {"weight": torch.tensor([data.weights[row]]), "label": torch.tensor([data.labels[row]])}
        assert same({name: take(entry, torch.tensor([place])) for name, entry in together.items()}, expected)


def test_the_order_of_an_epoch_depends_on_the_seed_and_its_number_alone():
    orders = {
        (seed, epoch): torch.cat([batch["item_index"] for batch in loader(seed=seed).epoch(epoch)]).tolist()
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len({tuple(order) for order in orders.values()}) == 4
    again = loader(seed=1)
    list(again.epoch(0))
    assert torch.cat([batch["item_index"] for batch in again.epoch(1)]).tolist() == orders[1, 1]


@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_goes_on_from_any_batch(shuffle):
    whole = list(loader(shuffle=shuffle).epoch(2))
    for start in range(len(whole) + 1):
        rest = list(loader(shuffle=shuffle).epoch(2, start=start))
        assert len(rest) == len(whole) - start
        assert all(same(one, other) for one, other in zip(rest, whole[start:], strict=True))


def test_without_shuffling_the_events_keep_their_order():
    data = shop()
    got = torch.cat([batch["item_index"] for batch in loader(data, shuffle=False).epoch(5)])
    assert got.tolist() == data.item_index[data.targets].tolist()


def test_chosen_rows_are_gone_through_and_unknown_items_left_out():
    frame = interactions()
    held_out = (frame["item"] == 107) | (frame["time"] % 3 == 0)
    train, test = sl.Dataset(frame, SCHEMA).split_at(held_out.to_numpy())
    space = FeatureSpace.fit(train, QUERY)
    ours = BatchLoader(test, space, batch_size=100, rows=torch.arange(len(test)), shuffle=False)
    (batch,) = ours.epoch(0)
    known = test.item_index > 0
    assert 0 < known.sum() < len(test)
    assert batch["item_index"].tolist() == test.item_index[known].tolist()
    assert batch["weight"].tolist() == test.weights[known].tolist()
    assert batch["label"].tolist() == test.labels[known].tolist()


def test_plain_positives_have_no_label():
    data = sl.Dataset(interactions(), sl.Schema("user", "item"))
    ours = BatchLoader(data, FeatureSpace.fit(data, [sl.Id("user")]), batch_size=60)
    (batch,) = ours.epoch(0)
    assert set(batch) == {"user", "user_index", "item_index", "weight"}
    assert batch["weight"].tolist() == [1.0] * 60


def test_a_batch_needs_at_least_one_event():
    with pytest.raises(ConfigError, match="batch_size must be at least 1"):
        loader(batch_size=0)
    data = sl.Dataset(interactions().with_columns(event=pl.lit("return")), SCHEMA)
    with pytest.raises(DataError, match="no positive event to learn from"):
        BatchLoader(data, FeatureSpace.fit(data, [sl.Id("user")]), batch_size=4)
