"""How much each position is looked at, read off clicks, and the weights that make up for it."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from shortlist.errors import ConfigError, DataError, ShapeError

ITERATIONS = 1000  # more than any log needs; the iteration ends when nothing moves
STILL = 1e-9  # relative change of a propensity that is none


def inverse_propensity_weights(positions: Tensor, propensities: Tensor, *, most: float = 20.0) -> Tensor:
    """What each item should weigh, so that clicks count as if all positions had been looked at alike.

    Pass them as `item_weights` to a loss over lists.

    Args:
        positions: `[total]` int64, the place from 0 at which each item was shown.
        propensities: `[positions]` how likely each position is looked at, beside the first or in all.
        most: what a weight is cut to: a little bias for much less variance.

    Returns:
        `[total]` float32, 1 at the first position.

    Raises:
        ConfigError: `most` is less than 1.
        DataError: a propensity is not positive, or a position has none.

    Source: Joachims et al., Unbiased learning-to-rank with biased feedback (WSDM 2017).
    """
    if not most >= 1:
        raise ConfigError(f"most is {most}", remedy="pass a weight of at least 1, such as 20")
    if propensities.ndim != 1 or not bool((propensities > 0).all() and propensities.isfinite().all()):
        raise DataError(
            f"the propensities are {propensities.tolist()}",
            remedy="pass a vector of positive numbers; smooth those that were estimated as 0",
        )
    _check_positions(positions, len(propensities))
    return (propensities[0] / propensities)[positions].clamp(max=most).float()


def randomised_propensities(clicks: Tensor, positions: Tensor) -> Tensor:
    """How much each position is looked at, from sessions whose items were shown in a random order.

    At random, every position has equally relevant items, so that shares of clicks differ by the look alone.

    Args:
        clicks: `[total]`, 0 for none.
        positions: `[total]` int64, the place from 0 at which each item was shown.

    Returns:
        `[positions]` float32, the share of clicks at each position over that at the first.

    Raises:
        DataError: a position was never shown, the first has no click, or a click is negative or no number.
        ShapeError: there is not one position a click.

    Source: Joachims et al., Unbiased learning-to-rank with biased feedback (WSDM 2017).
    """
    shown, clicked = _counts(clicks, positions)
    rates = clicked / shown
    if rates[0] == 0:
        raise DataError(
            "no item at the first position was clicked, so there is nothing to compare the others with",
            remedy="collect more sessions",
        )
    return torch.from_numpy(rates / rates[0]).float()


def harvested_propensities(clicks: Tensor, positions: Tensor, items: Tensor) -> Tensor:
    """How much each position is looked at, from items that were shown at more than one.

    Rankers change, and slots are swapped on purpose; an item that moved is compared with itself. The clicks
    of an item at a position are taken to be, in the mean, its impressions times the item's attraction times
    the position's propensity, and both are solved for; few impressions an item do no harm, since their
    expectation is all that counts.

    Args:
        clicks: `[total]`, 0 for none.
        positions: `[total]` int64, the place from 0 at which each item was shown.
        items: `[total]` int64, which item it was; one number for each item of each query.

    Returns:
        `[positions]` float32, beside the first.

    Raises:
        DataError: a position was never shown, has no click of an item that moved, or cannot be compared with
            the first through items that moved; or a click is negative or no number.
        ShapeError: there is not one position and item a click.

    Source: Agarwal et al., Estimating position bias without intrusive interventions (WSDM 2019); Hausman,
    Hall and Griliches, Econometric models for count data (1984), for the estimate by fixed effects.
    """
    if items.shape != clicks.shape or items.dtype != torch.int64:
        raise ShapeError(
            f"items are {items.dtype} {tuple(items.shape)} for {len(clicks)} clicks",
            remedy="pass one int64 number an impression",
        )
    count = len(_counts(clicks, positions)[0])
    _, item = np.unique(items.numpy(force=True), return_inverse=True)
    pair, number = np.unique(item * count + positions.numpy(force=True), return_inverse=True)
    impressions = np.bincount(number).astype(np.float64)
    hits = np.bincount(number, weights=clicks.double().numpy(force=True))
    found = _fixed_effects(pair // count, pair % count, impressions, hits, count)
    return torch.from_numpy(found).float()


def _fixed_effects(
    item: np.ndarray, position: np.ndarray, impressions: np.ndarray, hits: np.ndarray, positions: int
) -> np.ndarray:
    """Positions' factors whose expected clicks, with factors of the items, add up to those seen."""
    moved = (np.bincount(item) > 1) & (np.bincount(item, hits) > 0)
    kept = moved[item]  # the others say nothing of one position beside another
    item, position, impressions, hits = item[kept], position[kept], impressions[kept], hits[kept]
    by_item, by_position = np.bincount(item, hits), np.bincount(position, hits, positions)
    _check_connected(item, position, positions)
    if (by_position == 0).any():
        raise DataError(
            f"no item that was also shown elsewhere was clicked at position {int(np.argmin(by_position))}",
            remedy="collect more sessions, or leave that position out",
        )
    factors = np.ones(positions)
    for _ in range(ITERATIONS):
        expected = np.bincount(item, impressions * factors[position])
        attraction = by_item / np.maximum(expected, np.finfo(np.float64).tiny)
        raw = by_position / np.bincount(position, impressions * attraction[item])
        before, factors = factors, raw / raw[0]
        if np.abs(factors / before - 1).max() < STILL:
            break
    return factors


def _check_connected(item: np.ndarray, position: np.ndarray, positions: int) -> None:
    items = int(item.max(initial=-1)) + 1
    links = coo_array(
        (np.ones(len(item)), (position, positions + item)), shape=(positions + items, positions + items)
    )
    part = connected_components(links, directed=False)[1][:positions]
    if (part != part[0]).any():
        place = int(np.argmax(part != part[0]))
        raise DataError(
            f"position {place} cannot be compared with the first: no clicked item links the two",
            remedy="swap items between positions in some sessions, or pass more of the log",
        )


def _counts(clicks: Tensor, positions: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """How often each position was shown, and its clicks."""
    if clicks.ndim != 1 or positions.shape != clicks.shape or positions.dtype != torch.int64:
        raise ShapeError(
            f"clicks are {tuple(clicks.shape)} and positions {positions.dtype} {tuple(positions.shape)}",
            remedy="pass two vectors of one length, the positions int64",
        )
    if len(clicks) == 0:
        raise DataError("there is no impression", remedy="pass the log of some sessions")
    if not bool(((clicks >= 0) & clicks.isfinite()).all()):
        wrong = clicks[~((clicks >= 0) & clicks.isfinite())][0]
        raise DataError(f"a click is {float(wrong)}", remedy="pass 0 for none and 1 for a click")
    _check_positions(positions, None)
    places = positions.numpy(force=True)
    shown = np.bincount(places).astype(np.float64)
    if (shown == 0).any():
        raise DataError(
            f"position {int(np.argmin(shown))} was never shown",
            remedy="count the positions from 0, without gaps",
        )
    return shown, np.bincount(places, weights=clicks.double().numpy(force=True))


def _check_positions(positions: Tensor, count: int | None) -> None:
    if len(positions) == 0:
        return
    low, high = int(positions.min()), int(positions.max())
    if low < 0 or (count is not None and high >= count):
        raise DataError(
            f"position {low if low < 0 else high} has no propensity",
            remedy="count the positions from 0, and give each a propensity",
        )
