"""A history ends strictly before its event, whatever the ties, the types and the limits."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import histories as slow

import shortlist as sl
from shortlist.data.timeline import Timeline

events = st.lists(
    st.builds(slow.Event, st.integers(1, 3), st.integers(1, 9), st.integers(0, 4), st.booleans()),
    min_size=1,
    max_size=25,
)
lengths = st.sampled_from([None, 0, 1, 2, 5])
TYPES = {"done": sl.EventType(), "glimpsed": sl.EventType(history=False)}


def timeline(rows: list[slow.Event], *, ordered: bool = True) -> Timeline:
    return Timeline(
        np.array([row.user for row in rows]),
        np.array([row.item for row in rows]),
        np.array([row.time for row in rows]) if ordered else None,
        num_users=5,
        kept=np.array([row.remembered for row in rows]),
    )


@given(events, lengths)
@settings(max_examples=100, deadline=None)
def test_before_an_event_is_what_the_slow_reference_says(rows, length):
    line = timeline(rows)
    users = torch.tensor([row.user for row in rows])
    items, times = line.before_position(users, line.positions, length)
    assert items.to_lists() == [slow.before_event(rows, row, length) for row in range(len(rows))]
    latest = [max(row, default=-1) for row in times.to_lists()]
    assert all(then <= row.time for then, row in zip(latest, rows, strict=True))


@given(events, lengths, st.integers(-1, 6))
@settings(max_examples=80, deadline=None)
def test_before_a_moment_is_what_the_slow_reference_says(rows, length, moment):
    users = torch.arange(5)
    items, times = timeline(rows).before(users, torch.full((5,), moment), length)
    assert items.to_lists() == [slow.before_moment(rows, user, moment, length) for user in range(5)]
    assert (times.values < moment).all()


@given(events, lengths)
@settings(max_examples=60, deadline=None)
def test_the_latest_are_all_events_of_a_user_or_the_last_of_them(rows, length):
    items, times = timeline(rows).latest(torch.arange(5), length)
    assert items.to_lists() == [slow.before_moment(rows, user, 99, length) for user in range(5)]
    assert all((row.diff() >= 0).all() for row in (times[user] for user in range(5)))


@given(events, lengths)
@settings(max_examples=100, deadline=None)
def test_without_times_a_history_is_all_the_other_events(rows, length):
    line = timeline(rows, ordered=False)
    users = torch.tensor([row.user for row in rows])
    items, times = line.before_position(users, line.positions, length)
    assert items.to_lists() == [slow.other_events(rows, row, length) for row in range(len(rows))]
    assert times.lengths.equal(items.lengths)


@given(events, lengths, st.data())
@settings(max_examples=60, deadline=None)
def test_a_test_part_remembers_its_past_and_what_it_did_itself_before(rows, length, draw):
    if len(rows) < 2:
        return
    cut = draw.draw(st.integers(1, len(rows) - 1))
    frame = pl.DataFrame(
        {
            "user": [row.user for row in rows],
            "item": [row.item for row in rows],
            "time": [row.time for row in rows],
            "type": ["done" if row.remembered else "glimpsed" for row in rows],
        }
    )
    schema = sl.Schema("user", "item", timestamp="time", event="type", events=TYPES)
    train, test = sl.Dataset(frame, schema).split_at(np.arange(len(rows)) >= cut)
    known = {row.item for row in rows[:cut]}
    visible = [row._replace(remembered=row.remembered and row.item in known) for row in rows]
    histories = test.requests(np.arange(len(test)), length=length).history
    assert [train.item_vocabulary.decode(row).to_list() for row in histories.to_lists()] == [
        slow.before_event(visible, row, length) for row in range(cut, len(rows))
    ]
    histories = train.requests(np.arange(len(train)), length=length).history
    assert [train.item_vocabulary.decode(row).to_list() for row in histories.to_lists()] == [
        slow.before_event(rows[:cut], row, length) for row in range(cut)
    ]


def test_without_times_a_test_part_remembers_its_past_alone():
    frame = pl.DataFrame({"user": [1, 1, 1, 2], "item": [7, 8, 7, 7]})
    train, test = sl.Dataset(frame, sl.Schema("user", "item")).split_at(np.array([False, False, True, True]))
    histories = test.requests(np.arange(2)).history.to_lists()
    assert [train.item_vocabulary.decode(row).to_list() for row in histories] == [[7, 8], []]


@pytest.mark.parametrize("ordered", [True, False])
def test_somebody_unknown_has_no_history(ordered):
    line = timeline([slow.Event(0, 5, 1), slow.Event(1, 6, 2)], ordered=ordered)
    for items, _ in (
        line.latest(torch.tensor([0])),
        line.before_position(torch.tensor([0]), torch.tensor([1])),
    ):
        assert items.to_lists() == [[]]


def test_a_timeline_without_events_is_empty():
    line = timeline([slow.Event(1, 5, 1, False)])
    assert line.before(torch.tensor([1, 2]), torch.tensor([9, 9]))[0].to_lists() == [[], []]
