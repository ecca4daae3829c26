"""Histories from an export's own data, to verify it with: what people did, and what they did next."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged, gather_windows
from shortlist.data.requests import Requests

LEAST_REQUESTS, MOST_REQUESTS = 32, 256
MOST_SCORES = 1 << 25  # of all requests and items together; bounds the memory


@dataclass(frozen=True, eq=False)
class AskedRequests:
    """Requests of people whom nobody knows but for a history of items that the device has.

    Args:
        requests: the last one without any history.
        wanted: `[batch]` int64 the item index of what came next; 0 where there is none.
    """

    requests: Requests
    wanted: Tensor

    def head(self, count: int) -> Requests:
        """Some of the requests, the one without a history among them.

        Args:
            count: how many at most, from 1.
        """
        rows = torch.arange(len(self.wanted))
        return self.requests.take(torch.cat([rows[:-1][: count - 1], rows[-1:]]))


def asked_requests(data: Dataset, place: Tensor) -> AskedRequests:
    """The histories of people from all over the data, each without its last event.

    Args:
        data: the events.
        place: `[num_items]` int64, the device row of each item; 0 for an item that the device has not got.
    """
    people = torch.arange(1, len(data.people))
    most = min(max(MOST_SCORES // len(place), LEAST_REQUESTS), MOST_REQUESTS)
    if len(people) > most:
        people = people[torch.linspace(0, len(people) - 1, most).long()]
    everything = data.requests_of(people)
    history, times = _on_device(everything, place)
    lengths = (history.lengths - 1).clamp(min=0)
    first = history.offsets[:-1]
    wanted = torch.zeros(len(people), dtype=torch.int64)
    some = history.lengths > 0
    wanted[some] = history.values[history.offsets[1:][some] - 1]
    kept = [gather_windows(each.values, first, lengths) for each in (history, times)]
    nobody = Ragged.empty(1)
    parts = [Ragged.concatenate([each, nobody]) for each in kept]
    zeros = torch.zeros(len(people) + 1, dtype=torch.int64)
    requests = Requests(zeros, parts[0], parts[1], zeros)
    return AskedRequests(requests, torch.cat([wanted, zeros[:1]]))


def _on_device(requests: Requests, place: Tensor) -> tuple[Ragged, Ragged]:
    history = requests.history
    there = place[history.values] > 0
    counts = torch.bincount(history.row_ids()[there], minlength=len(history))
    items = Ragged.from_lengths(history.values[there], counts)
    return items, Ragged(requests.history_times.values[there], items.offsets)
