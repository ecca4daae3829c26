"""Which events a test part holds: three ways to choose, each a boolean mask, and the division by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.errors import ConfigError, DataError, SchemaError, ShapeError

if TYPE_CHECKING:
    from shortlist.data.dataset import Dataset

BoolArray = NDArray[np.bool_]


def latest(times: NDArray[np.int64], share: float) -> BoolArray:
    """The latest share of the events; events of one moment are never divided.

    Args:
        times: `[n]` int64.
        share: wanted share of the events, between 0 and 1.

    Returns:
        `[n]` bool, true for the test part.

    Raises:
        ConfigError: the share is not between 0 and 1.
        DataError: one of the parts would be empty.
    """
    _check_share(share)
    first = round(len(times) * (1 - share))
    mask = (
        times >= np.partition(times, first)[first] if 0 < first < len(times) else np.zeros(len(times), bool)
    )
    if not mask.any() or mask.all():
        raise DataError(
            f"a split by time with test={share} leaves one part of the {len(times)} events empty",
            remedy="use more events, another share, or split_random",
        )
    return mask


def last_of_each(
    users: NDArray[np.int64], times: NDArray[np.int64], eligible: BoolArray, count: int
) -> BoolArray:
    """Each user's last eligible events and all that the user did from the first of them on.

    Users with at most `count` eligible events stay in the train part. Events of one moment count in the
    order of the rows.

    Args:
        users: `[n]` int64 user numbers.
        times: `[n]` int64.
        eligible: `[n]` bool, events that may be held out.
        count: how many to hold out a user.

    Returns:
        `[n]` bool, true for the test part.

    Raises:
        ConfigError: the count is less than 1.
    """
    if count < 1:
        raise ConfigError(
            f"count must be at least 1, got {count}", remedy="1 holds out each user's last event"
        )
    order = np.lexsort((times, users))
    flags = eligible[order].astype(np.int64)
    ends = np.flatnonzero(np.diff(users[order], append=-1))  # last position of each user
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts + 1
    running = np.cumsum(flags)
    before = np.repeat(running[starts] - flags[starts], sizes)
    totals = np.repeat(running[ends], sizes) - before
    seen = running - before  # eligible events of the user up to here, this one counted
    held = (totals > count) & (seen > totals - count)
    mask = np.zeros(len(users), bool)
    mask[order] = held
    return mask


def random_share(size: int, share: float, seed: int) -> BoolArray:
    """A random share of the events.

    Args:
        size: number of events.
        share: wanted share, between 0 and 1.
        seed: the same seed gives the same events.

    Returns:
        `[size]` bool, true for the test part.

    Raises:
        ConfigError: the share is not between 0 and 1.
    """
    _check_share(share)
    mask = np.zeros(size, bool)
    mask[np.random.default_rng(seed).permutation(size)[: round(size * share)]] = True
    return mask


def needed(times: NDArray[np.int64] | None, caller: str) -> NDArray[np.int64]:
    """The times of the events, for a split that cannot do without.

    Args:
        times: `[n]` int64, or None where they are unknown.
        caller: name of the split, for the message.

    Raises:
        SchemaError: the times are unknown.
    """
    if times is None:
        raise SchemaError(
            f"{caller} needs times, and the schema names no timestamp column",
            remedy="set Schema(timestamp=…) or use split_random",
        )
    return times


def divide(data: Dataset, test: BoolArray) -> tuple[Dataset, Dataset]:
    """A train part, and a test part that knows the train part's events and vocabularies.

    Args:
        data: the events; no test part itself.
        test: `[events]` bool, true for the test part.

    Raises:
        ShapeError: the mask is not `[events]` bool.
        DataError: one of the parts would be empty, or the data is a test part.
    """
    if data.past is not None:
        raise DataError(
            "a test part cannot be split again", remedy="split the train part for a validation part"
        )
    check_mask(test, len(data))
    train = _part(data, ~test, "train")
    return train, _part(data, test, "test", past=train)


def _part(data: Dataset, chosen: BoolArray, name: str, *, past: Dataset | None = None) -> Dataset:
    return type(data)(
        data.interactions.filter(pl.Series(chosen)),
        data.schema,
        users=data.users,
        items=data.items,
        name=f"{data.name} {name}".strip(),
        past=past,
        report=data.report,
    )


def check_mask(test: BoolArray, size: int) -> None:
    """Refuse a mask that does not divide the events in two.

    Args:
        test: `[size]` bool, true for the test part.
        size: number of events.

    Raises:
        ShapeError: the mask is not `[size]` bool.
        DataError: one of the parts would be empty.
    """
    if test.dtype != np.bool_ or test.shape != (size,):
        raise ShapeError(
            f"the mask of the test part is {test.dtype} {test.shape}, not bool ({size},)",
            remedy="give one boolean an event, true for the test part",
        )
    if not test.any() or test.all():
        raise DataError(
            f"the split puts {int(test.sum())} of {size} events into the test part",
            remedy="both parts need events: use more data or another share",
        )


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise ConfigError(f"test must be a share between 0 and 1, got {share}", remedy="such as 0.1")
