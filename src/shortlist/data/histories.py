"""What each person of a dataset did before an event or a moment, and what they have seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.data.timeline import Timeline

if TYPE_CHECKING:
    from shortlist.data.dataset import Dataset


def timeline_of(data: Dataset) -> Timeline:
    """The history events of a dataset's past and, where times are known, of the dataset itself.

    Args:
        data: a dataset, perhaps the test part of a split.

    Returns:
        The events by person; the dataset's own events come last in its positions.
    """
    parts = [data] if data.past is None else [data.past, data]
    if data.past is not None and data.times is None:
        parts = [data.past]  # without times, nothing in this part is known to come before the rest of it
    times = [part.times for part in parts if part.times is not None]
    items = np.concatenate([part.item_index for part in parts])
    return Timeline(
        np.concatenate([part.person_index for part in parts]),
        items,
        np.concatenate(times) if times else None,
        num_users=len(data.people),
        kept=np.concatenate([part.is_history for part in parts]) & (items > 0),
    )


def seen_items(data: Dataset) -> Ragged:
    """For each person, the items of the events of the past, or of a dataset without a past itself.

    Args:
        data: a dataset, perhaps the test part of a split.

    Returns:
        `[people]` rows of int64 item indices, in the order of the events; an item may come twice.
    """
    source = data if data.past is None else data.past
    known = (source.person_index > 0) & (source.item_index > 0)
    people, items = source.person_index[known], source.item_index[known]
    counts = np.bincount(people, minlength=len(data.people))
    return Ragged.from_lengths(
        torch.from_numpy(items[np.argsort(people, kind="stable")]), torch.from_numpy(counts)
    )


def requests_before(
    data: Dataset, rows: NDArray[np.int64] | Tensor, *, length: int | None, context: bool
) -> Requests:
    """Who asked for some events, when, and what they had done strictly before: `Dataset.requests`."""
    index = torch.as_tensor(rows)
    chosen = index.numpy()
    people = torch.from_numpy(data.person_index[chosen])
    if length == 0:
        items = when = Ragged.from_lengths(people[:0], torch.zeros_like(people))
    elif data.times is None and data.past is not None:
        items, when = data.timeline.latest(people, length)
    else:
        positions = data.timeline.positions[index + (len(data.timeline.positions) - len(data))]
        items, when = data.timeline.before_position(people, positions, length)
    times = torch.zeros_like(people) if data.times is None else torch.from_numpy(data.times[chosen])
    extra = data.context[chosen] if context and data.context is not None else None
    return Requests(_known_users(data, people), items, when, times, extra)


def requests_after(data: Dataset, people: Tensor, *, length: int | None, at: int | None) -> Requests:
    """Requests of some people after all that is known of them: `Dataset.requests_of`."""
    items, when = data.timeline.latest(people, length)
    now = torch.full_like(people, data.end if at is None else at)
    return Requests(_known_users(data, people), items, when, now)


def _known_users(data: Dataset, people: Tensor) -> Tensor:
    if data.people is data.user_vocabulary:
        return people
    return torch.where(people < len(data.user_vocabulary), people, 0)
