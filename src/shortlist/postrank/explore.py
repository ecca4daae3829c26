"""A few places for items that nobody knows enough about yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.catalogue import Catalogue
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, DataError, did_you_mean
from shortlist.postrank.checks import check_column, check_count, check_fraction
from shortlist.postrank.columns import item_numbers
from shortlist.postrank.draws import request_keys, uniforms
from shortlist.postrank.grid import Grid
from shortlist.postrank.protocol import check_inputs

Method = Literal["reserve", "epsilon", "thompson"]

# Which of an item's or a place's random numbers: streams must not meet.
ITEM_STREAM, PLACE_STREAM = 0, 1


@dataclass(frozen=True)
class Explore:
    """Give some of the `size` places to items from lower in the list.

    - `"reserve"`: the last `slots` places go to items drawn without replacement with weights
      `1 / (1 + exposure)` from the list behind the places before.
    - `"thompson"`: the last `slots` places go to the items behind the places before with the greatest draws
      from `Beta(1 + successes, 1 + trials - successes)`, in that order. With `slots >= size` the whole list
      is sorted so far as it is shown.
    - `"epsilon"`: each place, independently with probability `epsilon`, goes to an item drawn uniformly from
      the list behind the first `size`.

    The other items keep their order; those that were displaced follow behind the places. A list that is
    no longer than the places before has nothing to draw from. Draws depend on the seed, the user, the
    request's time, the item and (for an unknown user) the history, not on the batch or on other items.
    Scores stay; a column `explored` is 1 for the drawn items, so that logs can tell them apart.

    Cost: O(candidates x log candidates) a request, no loop; Thompson computes one quantile of a Beta
    distribution a candidate on the CPU (about 2 microseconds each).

    Args:
        slots: places for "reserve" and "thompson", at the end of the shown list; 1 by default.
        method: `"reserve"`, `"epsilon"` or `"thompson"`.
        epsilon: for "epsilon", in [0, 1]; 0.1 by default.
        exposure: for "reserve", a column of how often each item was shown; by default how often it was
            seen in the training data. A missing value is 0.
        successes: for "thompson", a column of how often each item was taken; a missing value is 0.
        trials: for "thompson", a column of how often each item was offered; a missing value is 0.

    Raises:
        ConfigError: a setting is out of range, missing, or belongs to another method.

    Source: Thompson, On the likelihood that one unknown probability exceeds another (Biometrika 1933);
    Efraimidis and Spirakis, Weighted random sampling with a reservoir (IPL 2006).
    """

    slots: int | None = None
    method: Method = "reserve"
    epsilon: float | None = None
    exposure: str | None = None
    successes: str | None = None
    trials: str | None = None

    def __post_init__(self) -> None:
        uses = {
            "reserve": ("slots", "exposure"),
            "epsilon": ("epsilon",),
            "thompson": ("slots", "successes", "trials"),
        }
        if self.method not in get_args(Method):
            remedy = did_you_mean(str(self.method), get_args(Method))
            raise ConfigError(f"method is {self.method!r}", where="Explore", remedy=remedy)
        for field in ("slots", "epsilon", "exposure", "successes", "trials"):
            value = getattr(self, field)
            if value is None:
                continue
            if field not in uses[self.method]:
                raise ConfigError(
                    f"{field} is {value!r} but the method is {self.method!r}",
                    where="Explore",
                    remedy=f"this method uses {' and '.join(uses[self.method])}",
                )
            _check_setting(field, value)
        if self.method == "thompson" and (self.successes is None or self.trials is None):
            raise ConfigError(
                "Thompson sampling needs the columns of successes and trials",
                where="Explore",
                remedy='name them, such as successes="clicks", trials="impressions"',
            )

    def rerank(
        self, candidates: Candidates, *, size: int, catalogue: Catalogue, requests: Requests, seed: int = 0
    ) -> Candidates:
        """See `PostRanker.rerank`.

        Raises:
            SchemaError: the catalogue lacks a column, or it does not hold numbers.
            DataError: an exposure is negative, or there are more successes than trials.
        """
        check_inputs(candidates, size, catalogue, requests, stage="Explore")
        grid = Grid.of(candidates)
        keys = request_keys(requests, seed=seed).to(candidates.items.device)
        draws = uniforms(keys[grid.rows], 2 * candidates.items.values + ITEM_STREAM)
        if self.method == "epsilon":
            chance = 0.1 if self.epsilon is None else self.epsilon
            places = self._coins(grid, keys, chance) & (grid.positions < size)
            return fill_places(grid, places, grid.positions >= size, grid.pad(draws))
        head = max(size - (self.slots or 1), 0)
        if self.method == "reserve":
            order = -draws.log() * (1 + self._exposures(candidates, catalogue))
        else:
            order = -self._posterior_draws(candidates, catalogue, draws)
        behind = grid.positions >= head
        return fill_places(grid, behind & (grid.positions < size), behind, grid.pad(order))

    def _coins(self, grid: Grid, keys: Tensor, chance: float) -> Tensor:
        """`[batch, width]` bool, which places are up for exploration."""
        numbers = 2 * grid.positions + PLACE_STREAM
        return uniforms(keys[:, None].expand(numbers.shape), numbers) < chance

    def _exposures(self, candidates: Candidates, catalogue: Catalogue) -> Tensor:
        """`[total]` float64."""
        if self.exposure is None:
            counts = torch.from_numpy(catalogue.vocabulary.counts.copy()).double()
        else:
            counts = item_numbers(catalogue, self.exposure).nan_to_num(nan=0.0)
            _refuse(counts < 0, catalogue, f"{self.exposure!r} is negative")
        return counts.to(candidates.items.device)[candidates.items.values]

    def _posterior_draws(self, candidates: Candidates, catalogue: Catalogue, draws: Tensor) -> Tensor:
        """`[total]` float64 success rates, one draw an item, by inverting the distribution function."""
        from scipy.special import betaincinv

        assert self.successes is not None  # __post_init__ has seen to both
        assert self.trials is not None
        successes = item_numbers(catalogue, self.successes).nan_to_num(nan=0.0)
        trials = item_numbers(catalogue, self.trials).nan_to_num(nan=0.0)
        _refuse(successes < 0, catalogue, f"{self.successes!r} is negative")
        _refuse(trials < successes, catalogue, f"{self.trials!r} is less than {self.successes!r}")
        items = candidates.items.values.to(successes.device)
        wins, losses = successes[items], (trials - successes)[items]
        rates = betaincinv(1 + wins.numpy(), 1 + losses.numpy(), draws.cpu().numpy())
        return torch.from_numpy(rates).to(draws.device)


def fill_places(grid: Grid, places: Tensor, eligible: Tensor, order: Tensor) -> Candidates:
    """Move the first of the eligible candidates into some places; everything else keeps its order.

    Where there are fewer eligible candidates than places, the last places are left alone.

    Args:
        grid: the lists.
        places: `[batch, width]` bool, columns to fill.
        eligible: `[batch, width]` bool, columns to fill them from.
        order: `[batch, width]` float64, ascending; equal values by column.

    Returns:
        The reordered candidates, with a column `explored`.
    """
    places, eligible = places & grid.valid, eligible & grid.valid
    number = torch.minimum(places.sum(1), eligible.sum(1))[:, None]
    places &= places.cumsum(1) <= number
    width = grid.valid.shape[1]
    ranked = torch.argsort(order.masked_fill(~eligible, torch.inf), dim=1, stable=True)
    rank = torch.empty_like(ranked).scatter_(1, ranked, grid.positions)
    drawn = rank < number
    # Sort the columns into (others in order, drawn in order of draw) and the places likewise, then pair them.
    source = torch.argsort(torch.where(drawn, width + rank, grid.positions), dim=1)
    target = torch.argsort(torch.where(places, width + grid.positions, grid.positions), dim=1)
    result = torch.empty_like(source).scatter_(1, target, source)
    return grid.ordered(result, explored=drawn.float())


def _check_setting(field: str, value: object) -> None:
    if field == "slots":
        check_count(value, field=field, stage="Explore")
    elif field == "epsilon":
        check_fraction(value, field=field, stage="Explore")
    else:
        check_column(value, field=field, stage="Explore")


def _refuse(wrong: Tensor, catalogue: Catalogue, problem: str) -> None:
    """Raise for the first item of the table that is wrong."""
    if bool(wrong.any()):
        item = catalogue.vocabulary.decode([int(wrong.nonzero()[0])])[0]
        raise DataError(f"column {problem}", where=f"Explore, item {item!r}", remedy="correct the item table")
