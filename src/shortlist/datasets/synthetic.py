"""A made-up shop of films with planted tastes, for demonstrations and tests without a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.data.dataset import Dataset
from shortlist.data.schema import Schema
from shortlist.errors import ConfigError

# For each genre, four styles of three words each: titles tell genre and style.
WORDS: dict[str, tuple[str, str, str, str]] = {
    "Action": (
        "Thunder Fist Chase", "Vengeance Bullet Heist", "Commando Jungle Siege", "Racer Turbo Pursuit",
    ),
    "Adventure": (
        "Island Treasure Sail", "Summit Glacier Trek", "Desert Caravan Relic", "River Expedition Map",
    ),
    "Animation": (
        "Teapot Mouse Parade", "Robot Playground Puppet", "Dragon Kitten Lantern", "Penguin Zoo Balloon",
    ),
    "Comedy": ("Wedding Mishap Uncle", "Office Prank Boss", "Roommate Pizza Tour", "Holiday Disaster Aunt"),
    "Crime": ("Detective Alibi Rain", "Mafia Docks Ledger", "Forger Gallery Con", "Prison Warden Escape"),
    "Documentary": ("Ocean Coral Reef", "Jazz Vinyl Tour", "Mountain Climber Rope", "Archive Letters War"),
    "Drama": (
        "Harbour Farewell Letter", "Orchard Heirs Sisters", "Hospital Winter Vow", "Village Trial Silence",
    ),
    "Fantasy": ("Sorcerer Rune Tower", "Elf Forest Oath", "Throne Griffin Crown", "Witch Moon Cauldron"),
    "Horror": ("Crypt Whisper Bone", "Cabin Scream Axe", "Doll Attic Curse", "Swamp Creature Fog"),
    "Romance": ("Paris Café Kiss", "Seaside Summer Waltz", "Bookshop Rose Letter", "Train Stranger Snow"),
    "Sci-Fi": ("Starship Nebula Signal", "Android Circuit Dream", "Colony Mars Dust", "Paradox Clock Loop"),
    "Western": ("Saloon Duel Dust", "Ranch Outlaw Cattle", "Railroad Gold Sheriff", "Canyon Bounty Spur"),
}  # fmt: skip
GENRES = tuple(WORDS)
STYLES = 4
CLUSTERS = len(GENRES) * STYLES

ADJECTIVES = (
    "Silent", "Golden", "Last", "Broken", "Hidden", "Crimson", "Endless", "Second", "Lonely", "Burning",
    "Secret", "Forgotten", "Midnight", "Northern", "Little", "Grand",
)  # fmt: skip
OCCUPATIONS = (
    "artist",
    "doctor",
    "driver",
    "engineer",
    "farmer",
    "lawyer",
    "nurse",
    "student",
    "teacher",
    "writer",
)

START = 1_577_836_800  # 2020-01-01
PERIODS = 36
SECONDS_A_PERIOD = 30 * 86_400

# How often somebody stays with the style of the event before.
STAY = 0.4


@dataclass(frozen=True)
class _World:
    """What is planted.

    Args:
        tastes: `[users, CLUSTERS]` float64, each row a distribution.
        clusters: `[items]` int64, genre times STYLES plus style; ascending.
        appeal: `[PERIODS, items]` float64, how popular each item is in each month.
        joined: `[users]` int64, the second in which each user appears.
    """

    tastes: NDArray[np.float64]
    clusters: NDArray[np.int64]
    appeal: NDArray[np.float64]
    joined: NDArray[np.int64]


def synthetic(*, users: int = 1000, items: int = 1500, events: int = 100_000, seed: int = 0) -> Dataset:
    """Make up a dataset in which tastes can be learned.

    Each user likes some of twelve genres, and one style in each more than its others; tastes go with age.
    Within a style, users follow what is popular at the time: new films rise and age, and each one's
    popularity drifts. Nobody sees a film twice. The columns are those of MovieLens 100K.

    Args:
        users: number of users.
        items: number of items, at least 96.
        events: number of events, at most a fifth of users times items.
        seed: the same seed gives the same dataset.

    Returns:
        A Dataset of ratings from 1 to 5 over three years, items with `title`, `year` and `genres`, users with
        `age`, `gender` and `occupation`; ids are strings.

    Raises:
        ConfigError: a number is too small, or there are more events than the users can have.
    """
    for name, number, least in (("users", users, 1), ("items", items, 2 * CLUSTERS), ("events", events, 1)):
        if number < least:
            raise ConfigError(f"{name} must be at least {least}, got {number}", remedy=f"raise {name}")
    if events > users * items // 5:
        raise ConfigError(
            f"{events:,} events are too many for {users:,} users and {items:,} items",
            where="events",
            remedy=f"ask for at most {users * items // 5:,}",
        )
    rng = np.random.default_rng(seed)
    ages = np.clip(rng.gamma(6.0, 6.0, users) + 10, 12, 90).astype(np.int64)
    clusters = np.sort(rng.integers(0, CLUSTERS, items))
    released = rng.integers(-24, PERIODS - 1, items)
    world = _World(
        tastes=_tastes(ages, rng),
        clusters=clusters,
        appeal=_appeal(released, rng),
        joined=START + (rng.random(users) ** 2 * 0.8 * PERIODS * SECONDS_A_PERIOD).astype(np.int64),
    )
    return Dataset(
        _events(world, events, rng),
        Schema(timestamp="timestamp", label="rating"),
        users=_user_table(ages, rng),
        items=_item_table(clusters, released, rng),
        name="synthetic",
    )


def _tastes(ages: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    users = len(ages)
    typical_age = rng.uniform(15, 60, len(GENRES))
    by_age = np.exp(-(((ages[:, None] - typical_age) / 20) ** 2))
    genres = rng.gamma(0.25 * (0.2 + by_age)) + 1e-6  # small shapes: few genres each
    styles = rng.gamma(0.3, size=(users, len(GENRES), STYLES)) + 1e-6
    tastes = genres[:, :, None] * styles / styles.sum(2, keepdims=True)
    flat = tastes.reshape(users, CLUSTERS)
    return np.asarray(0.9 * flat / flat.sum(1, keepdims=True) + 0.1 / CLUSTERS)


def _appeal(released: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    items = len(released)
    quality = (1 + rng.permutation(items)) ** -0.8
    age = np.arange(PERIODS)[:, None] - released
    fame = np.where(age < 0, 0.0, 0.3 + np.exp(-np.maximum(age, 0) / 16))
    drift = np.exp(np.cumsum(rng.normal(0, 0.08, (PERIODS, items)), axis=0))
    return np.asarray(quality * fame * drift + 1e-12)  # never quite zero: each style has an item at any time


def _events(world: _World, events: int, rng: np.random.Generator) -> pl.DataFrame:
    num_items, drawn = len(world.clusters), 2 * events
    while True:
        users, times, chosen, items = _draw(world, drawn, rng)
        # The first time that a user meets an item counts.
        first = np.sort(np.unique(users * num_items + items, return_index=True)[1])
        if len(first) >= events:
            break
        drawn *= 2
    kept = np.sort(rng.permutation(first)[:events])
    users, times, chosen, items = users[kept], times[kept], chosen[kept], items[kept]
    liking = np.log(world.tastes[users, chosen] * CLUSTERS)
    ratings = np.clip(np.round(3.3 + 0.4 * liking + rng.normal(0, 0.8, events)), 1, 5)
    order = np.argsort(times, kind="stable")
    return pl.DataFrame(
        {
            "user_id": _names("u", len(world.tastes)).gather(users[order]),
            "item_id": _names("i", num_items).gather(items[order]),
            "rating": ratings[order],
            "timestamp": times[order],
        }
    )


def _draw(world: _World, count: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    """Users, times, clusters and items of some events; each user's events follow each other in time."""
    num_users, end = len(world.tastes), START + PERIODS * SECONDS_A_PERIOD
    activity = rng.lognormal(0, 1, num_users)
    users = np.sort(rng.choice(num_users, count, p=activity / activity.sum()))
    times = world.joined[users] + (rng.random(count) * (end - world.joined[users])).astype(np.int64)
    order = np.lexsort((times, users))
    times = times[order]
    # Cluster by cluster: one search in all users' running totals, each user's ending at a whole number.
    totals = np.cumsum(world.tastes, axis=1)
    totals /= totals[:, -1:]
    ladder = (totals + np.arange(num_users)[:, None]).ravel()
    fresh = np.searchsorted(ladder, users + rng.random(count), side="right") - users * CLUSTERS
    begins = np.concatenate([[True], users[1:] != users[:-1]])
    fresh_at = np.where(begins | (rng.random(count) > STAY), np.arange(count), 0)
    clusters = np.clip(fresh, 0, CLUSTERS - 1)[np.maximum.accumulate(fresh_at)]
    return users, times, clusters, _items_of(world, clusters, (times - START) // SECONDS_A_PERIOD, rng)


def _items_of(
    world: _World, clusters: NDArray[np.int64], periods: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """One item of each cluster, in proportion to the appeal in the period."""
    num_items = len(world.clusters)
    edges = np.searchsorted(world.clusters, np.arange(CLUSTERS + 1))
    totals = np.concatenate([np.zeros((PERIODS, 1)), np.cumsum(world.appeal, axis=1)], axis=1)
    low, high = totals[periods, edges[clusters]], totals[periods, edges[clusters + 1]]
    # Each period's totals are scaled to lie between two whole numbers, so that one search serves all.
    scale = totals[:, -1:] * (1 + 1e-9)
    ladder = (totals[:, 1:] / scale + np.arange(PERIODS)[:, None]).ravel()
    wanted = (low + rng.random(len(clusters)) * (high - low)) / scale[periods, 0] + periods
    found = np.searchsorted(ladder, wanted, side="right") - periods * num_items
    last = np.maximum(edges[clusters + 1] - 1, 0)
    return np.asarray(np.clip(found, np.minimum(edges[clusters], last), last))


def _item_table(
    clusters: NDArray[np.int64], released: NDArray[np.int64], rng: np.random.Generator
) -> pl.DataFrame:
    words = np.array([style.split() for styles in WORDS.values() for style in styles])  # [CLUSTERS, 3]
    pair = np.argsort(rng.random((len(clusters), 3)), axis=1)
    first, second = words[clusters, pair[:, 0]], words[clusters, pair[:, 1]]
    adjective = np.array(ADJECTIVES)[rng.integers(0, len(ADJECTIVES), len(clusters))]
    years = 2020 + released // 12
    main, other = clusters // STYLES, rng.integers(0, len(GENRES), len(clusters))
    mixed = (rng.random(len(clusters)) < 0.3) & (main != other)
    tags = [
        [GENRES[a], GENRES[b]] if both else [GENRES[a]] for a, b, both in zip(main, other, mixed, strict=True)
    ]
    return pl.DataFrame({"item_id": _names("i", len(clusters)), "year": years, "genres": tags}).with_columns(
        pl.Series(
            "title",
            [f"{a} {b} {c} ({y})" for a, b, c, y in zip(adjective, first, second, years, strict=True)],
        )
    )


def _user_table(ages: NDArray[np.int64], rng: np.random.Generator) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "user_id": _names("u", len(ages)),
            "age": ages,
            "gender": np.array(["F", "M"])[rng.integers(0, 2, len(ages))],
            "occupation": np.array(OCCUPATIONS)[rng.integers(0, len(OCCUPATIONS), len(ages))],
        }
    )


def _names(letter: str, count: int) -> pl.Series:
    width = len(str(count))
    return pl.Series([f"{letter}{number:0{width}d}" for number in range(1, count + 1)])
