"""Which items a device gets, and how much of past traffic they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.errors import ConfigError


@dataclass(frozen=True, eq=False)
class Selection:
    """The items of a device.

    Args:
        rows: `[count + 1]` int64 ascending item indices by device row; row 0 is the unknown item, 0.
        traffic: the share of past events that were of these items.
        reach: the share of past users with an event of at least one of them.
    """

    rows: NDArray[np.int64]
    traffic: float
    reach: float

    def place(self, num_items: int) -> NDArray[np.int64]:
        """The device row of each item index.

        Args:
            num_items: of the catalogue, the unknown counted.

        Returns:
            `[num_items]` int64; 0 for an item that the device has not got.
        """
        rows = np.zeros(num_items, np.int64)
        rows[self.rows] = np.arange(len(self.rows))
        return rows


def select_items(data: Dataset, count: int | None = None) -> Selection:
    """Choose the most useful items.

    An item's use is the mean of two shares: of all past events (its traffic), and of the events of each user,
    averaged over the users (its part in what each of them did). The first serves most requests; the second
    lets somebody with ten events say as much as somebody with a thousand, so that small tastes are covered.
    Equal items are taken in the order of the index.

    Args:
        data: the events.
        count: how many items; None for all.

    Raises:
        ConfigError: the count is less than 1.
    """
    num_items = len(data.item_vocabulary)
    if count is not None and count < 1:
        raise ConfigError(f"items is {count}", where="export", remedy="keep at least one item")
    known = (data.item_index > 0) & data.is_history & (data.person_index > 0)
    items, people = data.item_index[known], data.person_index[known]
    if count is None or count >= num_items - 1:
        rows = np.arange(num_items)
    else:
        order = np.argsort(-_use(items, people, num_items)[1:], kind="stable") + 1
        rows = np.concatenate([[0], np.sort(order[:count])])
    kept = np.zeros(num_items, np.bool_)
    kept[rows] = True
    covered = kept[items]
    users = max(len(np.unique(people)), 1)
    return Selection(
        rows.astype(np.int64),
        float(covered.sum() / max(len(items), 1)),
        len(np.unique(people[covered])) / users,
    )


def _use(items: NDArray[np.int64], people: NDArray[np.int64], num_items: int) -> NDArray[np.float64]:
    if len(items) == 0:
        return np.zeros(num_items)
    events_of_person = np.bincount(people)
    users = (events_of_person > 0).sum()
    traffic = np.bincount(items, minlength=num_items) / len(items)
    parts = np.bincount(items, 1 / events_of_person[people], minlength=num_items) / users
    return np.asarray((traffic + parts) / 2, np.float64)
