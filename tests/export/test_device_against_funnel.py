"""An exported funnel recommends on the device what it recommends on the server."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from planted import CANDIDATE, START, parts, rich_towers, trained_towers

from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.export import Device, export_funnel
from shortlist.funnel import Funnel, rank
from shortlist.funnel.retrieve import Nearest, Popular
from shortlist.models import Ranker, Sequential, TwoTower
from shortlist.postrank import Boost, Cap, Diversity, Exclude, Freshness

NOW = START + 20 * 86_400
POSTRANK = (
    Exclude(items=["i000"], where="price > 48"),
    Boost(where="price < 10", by=0.3),
    Freshness("30d", strength=0.2),
    Diversity(0.2),
    Diversity(0.1, by="colours"),
    Cap("group", 4),
)


@cache
def rich() -> TwoTower:
    """Towers of every kind of feature; what they learned does not matter."""
    model = rich_towers()
    model.fit(parts()[0], epochs=2, batch_size=128)
    return model


@cache
def ranker() -> Ranker:
    train, _ = parts()
    earlier, recent = train.split_leave_last_out(count=2)
    model = Ranker([], CANDIDATE, scores=["score_towers", "score_popular"], dim=4, hidden=(8,))
    towers = rich_towers()
    towers.fit(earlier, epochs=2, batch_size=128)
    rank.fit(model, [Nearest(towers, 30, "towers"), Popular(20)], recent, epochs=2)
    return model


@cache
def sequential() -> Sequential:
    model = Sequential(dim=8, length=6, num_blocks=1, time_gaps=True)
    model.fit(parts()[0], epochs=2)
    return model


def funnel_of(name: str) -> Funnel:
    """Funnels of every kind of stage that a device knows."""
    towers = Nearest(trained_towers(), 20, "towers")
    if name == "one retriever":
        return Funnel(retrieve=[towers], size=6)
    if name == "fused":
        return Funnel(retrieve=[towers, Popular(10, half_life="60d")], size=6, postrank=POSTRANK)
    if name == "sequence":
        return Funnel(retrieve=[Nearest(sequential(), 20)], size=6, postrank=[Diversity(0.4)])
    return Funnel(
        retrieve=[Nearest(rich(), 20, "towers"), Popular(20)],
        rank=rank.Scored(ranker(), keep=15),
        postrank=POSTRANK,
        size=6,
    )


Exported = Callable[[str], tuple[Funnel, Device]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A funnel by its name and the device of its export; each is made once."""
    folder = tmp_path_factory.mktemp("exports")

    @cache
    def make(name: str) -> tuple[Funnel, Device]:
        funnel = funnel_of(name)
        export_funnel(funnel, folder / name, encoding="float32")
        return funnel, Device.load(folder / name)

    return make


def histories() -> list[list[int]]:
    """Item indices, one history empty and one of a single item."""
    random = np.random.default_rng(2)
    drawn = [random.choice(np.arange(1, 49), size, replace=False).tolist() for size in range(2, 30)]
    return [[], [7], *drawn]


def of_funnel(
    funnel: Funnel, history: list[int], times: list[int], size: int, device: str | None
) -> tuple[list[object], list[float]]:
    """Ids and scores for somebody unknown with a history."""
    ragged = Ragged.from_lists([history])
    context = None if device is None else pl.DataFrame({"device": [device]})
    requests = Requests(
        torch.zeros(1, dtype=torch.int64),
        ragged,
        Ragged.from_lists([times]),
        torch.tensor([NOW]),
        context,
    )
    final = funnel.run(requests, size=size, exclude=ragged).final
    return funnel.catalogue.vocabulary.decode(final.items.values.numpy()).to_list(), final.scores.tolist()


@pytest.mark.parametrize("name", ["one retriever", "fused", "sequence", "ranked"])
@pytest.mark.parametrize("size", [6, 18])
def test_the_lists_are_those_of_the_funnel(exported, name, size):
    funnel, device = exported(name)
    reads_device = name == "ranked"
    for number, history in enumerate(histories()):
        times = [NOW - 3600 * (len(history) - place) for place in range(len(history))]
        context = {"device": "phone"} if reads_device and number % 2 else {}
        wanted, scores = of_funnel(funnel, history, times, size, context.get("device"))
        ids = funnel.catalogue.vocabulary.decode(history).to_list()
        answer = device.recommend(list(zip(ids, times, strict=True)), k=size, context={"now": NOW, **context})
        assert answer.items == wanted, (name, history)
        np.testing.assert_allclose(answer.scores, scores, rtol=1e-3, atol=1e-4)


def test_where_and_exclusions_are_those_of_the_funnel(exported):
    funnel, device = exported("fused")
    allowed = funnel.catalogue.mask((pl.col("group") == "red") | (pl.col("group") == "blue"))
    history, excluded = [3, 9, 12], [1, 2]
    ragged, hidden = Ragged.from_lists([history]), Ragged.from_lists([history + excluded])
    requests = Requests(torch.zeros(1, dtype=torch.int64), ragged, ragged, torch.tensor([NOW]))
    final = funnel.run(requests, size=5, exclude=hidden, where=allowed).final
    decode = funnel.catalogue.vocabulary.decode
    answer = device.recommend(
        decode(history).to_list(),
        k=5,
        exclude=decode(excluded).to_list(),
        where={"group": ["red", "blue"]},
        context={"now": NOW},
    )
    assert answer.items == decode(final.items.values.numpy()).to_list()


def test_similar_items_are_those_of_the_vectors(exported):
    funnel, device = exported("one retriever")
    vectors = torch.nn.functional.normalize(funnel.catalogue.vectors, dim=1)
    order = (vectors @ vectors[5]).tolist()
    others = [item for item in range(1, len(order)) if item != 5]
    wanted = sorted(others, key=lambda item: -order[item])[:4]
    decode = funnel.catalogue.vocabulary.decode
    assert device.similar(decode([5]).to_list()[0], k=4).items == decode(wanted).to_list()


def test_an_export_of_some_items_answers_with_these_alone(tmp_path: Path):
    funnel = Funnel(retrieve=[Nearest(trained_towers(), 20, "towers"), Popular(10)], size=6)
    export_funnel(funnel, tmp_path / "export", items=25)
    device = Device.load(tmp_path / "export")
    assert len(device) == 25
    everything = funnel.catalogue.vocabulary.decode(range(1, 49)).to_list()
    held = [item for item in everything if item in device]
    assert len(held) == 25
    assert set(device.recommend(everything[:5], k=48).items) == set(held) - set(everything[:5])
