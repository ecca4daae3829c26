"""A batch of questions: its parts fit together, and stack and pick like rows."""

from __future__ import annotations

import polars as pl
import pytest
import torch
from data_cases import shop

import shortlist as sl
from shortlist.data.requests import Requests
from shortlist.errors import ShapeError


def test_taking_requests_takes_every_part_of_them():
    data = shop()
    requests = data.requests(torch.arange(len(data)))
    rows = torch.tensor([9, 0, 9])
    taken, again = requests.take(rows), data.requests(rows)
    assert len(taken) == 3
    assert taken.users.equal(again.users)
    assert taken.times.equal(again.times)
    assert taken.history.to_lists() == again.history.to_lists()
    assert taken.history_times.to_lists() == again.history_times.to_lists()
    assert taken.context.equals(again.context)
    assert data.requests(rows, context=False).take(torch.tensor([1])).context is None


def test_stacking_puts_one_part_after_another():
    data = shop()
    whole = data.requests(torch.arange(10))
    stacked = Requests.concatenate([data.requests(torch.arange(4)), data.requests(torch.arange(4, 10))])
    assert stacked.history.to_lists() == whole.history.to_lists()
    assert stacked.history_times.to_lists() == whole.history_times.to_lists()
    assert stacked.users.equal(whole.users)
    assert stacked.times.equal(whole.times)
    assert stacked.context.equals(whole.context)


def test_what_a_part_has_no_context_for_is_missing():
    data = shop()
    rows = torch.arange(3)
    bare = data.requests(rows, context=False)
    for parts in ([bare, data.requests(rows)], [data.requests(rows), bare]):
        context = Requests.concatenate(parts).context
        nulls = [part is bare for part in parts for _ in rows]
        assert context["temperature"].is_null().to_list()[nulls.index(True)]
        assert context.filter(pl.Series(nulls)).null_count().row(0) == (3, 3)
        assert context.filter(~pl.Series(nulls)).equals(data.requests(rows).context)
    assert Requests.concatenate([bare, bare]).context is None


def test_of_a_stranger_only_the_history_is_known():
    requests = Requests.from_history(sl.Ragged.from_lists([[3, 1], []]))
    assert requests.users.tolist() == requests.times.tolist() == [0, 0]
    assert requests.history_times.to_lists() == [[0, 0], []]
    assert len(requests) == 2


@pytest.mark.parametrize("part", ["history", "history_times", "times", "context"])
def test_a_part_with_another_number_of_rows_is_named(part):
    parts = {
        "users": torch.zeros(2, dtype=torch.int64),
        "history": sl.Ragged.empty(2),
        "history_times": sl.Ragged.empty(2),
        "times": torch.zeros(2, dtype=torch.int64),
        "context": pl.DataFrame({"x": [1, 2]}),
    }
    with pytest.raises(ShapeError, match=rf"^{part} has 1 rows for 2 users; one row a request"):
        Requests(**{**parts, part: parts[part][:1] if part in ("times", "context") else sl.Ragged.empty(1)})


def test_every_item_of_a_history_has_a_time():
    zeros = torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ShapeError, match="2 history items, 0 history times"):
        Requests(zeros, sl.Ragged.from_lists([[1, 2]]), sl.Ragged.empty(1), zeros)


def test_the_latest_known_events_are_those_of_known_items():
    lists = [[1, 0, 2, 3, 0], [], [0, 9], [4, 5, 6, 7, 8]]
    history = sl.Ragged.from_lists(lists)
    zeros = torch.zeros(4, dtype=torch.int64)
    times = sl.Ragged(torch.arange(len(history.values)), history.offsets)
    items, when = Requests(zeros, history, times, zeros).latest_known(3, num_items=9)
    assert items.to_lists() == [[1, 2, 3], [], [], [6, 7, 8]]
    assert when.to_lists() == [[0, 2, 3], [], [], [9, 10, 11]]
