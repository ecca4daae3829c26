"""Batches of sequences: every target once an epoch, after what came before it, in windows that fit."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data import Dataset, EventType, Ragged, Schema
from shortlist.data.sequences import SequenceLoader
from shortlist.errors import ConfigError, DataError, SchemaError

KINDS = {
    "buy": EventType(weight=2.0),
    "view": EventType(label=False),
    "like": EventType(history=False),
    "hide": EventType(negative=True),
}
SCHEMA = Schema(timestamp="time", event="event", events=KINDS)
events = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(0, 30), st.sampled_from(list(KINDS))),
    min_size=1,
    max_size=60,
)


def dataset(rows: list[tuple[int, int, int, str]]) -> Dataset:
    columns = dict(zip(("user_id", "item_id", "time", "event"), zip(*rows, strict=True), strict=True))
    return Dataset(pl.DataFrame(columns), SCHEMA)


def slow_targets(rows: list[tuple[int, int, int, str]]) -> Counter[tuple[int, int, float]]:
    """How often each target item follows each item of the user's history (0 for none), with its weight."""
    found: Counter[tuple[int, int, float]] = Counter()
    last: dict[int, int] = {}
    for user, item, _, kind in sorted(rows, key=lambda row: (row[0], row[2])):
        if kind in ("buy", "like"):
            found[last.get(user, 0), item, KINDS[kind].weight] += 1
        if kind in ("buy", "view"):
            last[user] = item
    return found


def followed(data: Dataset, loader: SequenceLoader, epoch: int) -> Counter[tuple[int, int, float]]:
    """The same of an epoch's batches, in outside ids."""
    found: Counter[tuple[int, int, float]] = Counter()
    for batch in loader.epoch(epoch):
        before = torch.cat([batch["sequence"].values, torch.zeros(1, dtype=torch.int64)])
        items = [
            data.item_vocabulary.decode(part.numpy())
            for part in (before[batch["target_place"]], batch["target"])
        ]
        found.update(zip(items[0].fill_null(0), items[1], batch["weight"].tolist(), strict=True))
    return found


@given(events, st.integers(1, 7), st.integers(1, 5), st.integers(0, 2))
@settings(max_examples=80, deadline=None)
def test_every_target_comes_once_an_epoch_after_the_event_it_followed(rows, length, batch_size, epoch):
    data = dataset(rows)
    if not slow_targets(rows):
        with pytest.raises(DataError, match="no positive event"):
            SequenceLoader(data, length=length, batch_size=batch_size)
        return
    loader = SequenceLoader(data, length=length, batch_size=batch_size)
    assert followed(data, loader, epoch) == slow_targets(rows)


@given(events, st.integers(1, 7), st.integers(0, 2))
@settings(max_examples=50, deadline=None)
def test_a_window_is_a_run_of_one_users_history_and_the_longest_come_first(rows, length, epoch):
    data = dataset([*rows, (1, 1, 31, "buy")])
    histories = [
        (items, data.timeline.latest(torch.tensor([user]))[1].values.tolist())
        for user, items in enumerate(data.timeline.latest(torch.arange(len(data.people)))[0].to_lists())
    ]
    loader = SequenceLoader(data, length=length, batch_size=3)
    batches = list(loader.epoch(epoch))
    assert len(batches) == len(loader)
    for batch in batches:
        sequence, times = batch["sequence"], batch["sequence_times"]
        assert sequence.lengths.tolist() == sorted(sequence.lengths.tolist(), reverse=True)
        assert sequence.lengths.max() <= length
        for items, when in zip(sequence.to_lists(), times.to_lists(), strict=True):
            assert any(
                items == whole[i : i + len(items)] and when == moments[i : i + len(items)]
                for whole, moments in histories
                for i in range(len(whole) - len(items) + 1)
            )


def long_history(events: int = 50) -> Dataset:
    frame = pl.DataFrame({"user_id": [1] * events, "item_id": range(events), "time": range(events)})
    return Dataset(frame, Schema(timestamp="time"))


def windows(loader: SequenceLoader, epoch: int) -> list[list[int]]:
    return [row for batch in loader.epoch(epoch) for row in batch["sequence"].to_lists()]


def test_long_histories_are_cut_at_other_places_every_epoch_into_as_few_windows_as_can_be():
    loader = SequenceLoader(long_history(46), length=10, batch_size=1)
    assert len(loader) == 5  # 45 events have a successor
    cuts = {tuple(sorted(map(len, windows(loader, epoch)))) for epoch in range(12)}
    assert len(cuts) > 1
    assert all(sum(cut) == 45 for cut in cuts)
    fixed = SequenceLoader(long_history(), length=10, batch_size=1, shuffle=False)
    assert [len(row) for row in windows(fixed, 3)] == [10, 10, 10, 10, 9]


def same(one: dict, other: dict) -> bool:
    return all(
        torch.equal(mine.values, yours.values) and torch.equal(mine.offsets, yours.offsets)
        if isinstance(mine, Ragged)
        else torch.equal(mine, yours)
        for mine, yours in zip(one.values(), other.values(), strict=True)
    )


def test_an_epoch_hangs_on_the_seed_and_its_number_and_can_start_anywhere():
    frame = pl.DataFrame(
        {
            "user_id": np.repeat(range(20), 6),
            "item_id": np.random.default_rng(0).integers(0, 30, 120),
            "time": range(120),
        }
    )
    data = Dataset(frame, Schema(timestamp="time"))
    loader = SequenceLoader(data, length=4, batch_size=3, seed=5)
    batches = list(loader.epoch(2))
    again = SequenceLoader(data, length=4, batch_size=3, seed=5)
    for start in (0, 4, len(loader)):
        for one, other in zip(batches[start:], again.epoch(2, start=start), strict=True):
            assert same(one, other)
    assert not same(batches[0], next(loader.epoch(3)))
    assert not same(batches[0], next(SequenceLoader(data, length=4, batch_size=3, seed=6).epoch(2)))


def test_events_without_an_order_are_refused():
    data = Dataset(pl.DataFrame({"user_id": [1, 1], "item_id": [1, 2]}), Schema())
    with pytest.raises(SchemaError, match="need the order of the events"):
        SequenceLoader(data, length=4, batch_size=2)
    with pytest.raises(ConfigError, match="batch_size must be at least 1"):
        SequenceLoader(long_history(), length=4, batch_size=0)
