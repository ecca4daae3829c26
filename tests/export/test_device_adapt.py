"""What a device learns of likes and dislikes, and forgets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from device_cases import HISTORY, NEAREST, POPULAR, RANK, Case, make_case
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import device as slow

from shortlist.export import Device
from shortlist.export.device.adaptation import LATEST

CASE = make_case(items=30, retrieve=(NEAREST,))
ROWS = st.integers(1, 30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return CASE.write(tmp_path_factory.mktemp("adapt") / "export")


@pytest.fixture
def device(folder):
    return Device.load(folder)


def scores_of(device: Device, history: list[int]) -> dict[object, float]:
    answer = device.recommend(history, k=100)
    return dict(zip(answer.items, answer.scores, strict=True))


def plain_query(case: Case, history: list[int]) -> np.ndarray:
    return slow.mean_query(case.tables["vectors"], case.weights, history, HISTORY.length or 0)


@settings(max_examples=60, deadline=None)
@given(
    history=st.lists(ROWS, max_size=5),
    judged=st.lists(st.tuples(ROWS, st.sampled_from([1, -1])), min_size=1, max_size=12),
)
def test_the_scores_are_those_of_the_ridge_regression(folder, history, judged):
    device = Device.load(folder)
    signs: dict[int, int] = {}
    for row, sign in judged:
        device.adapt(**{"liked" if sign > 0 else "disliked": [100 + row]})
        signs[row] = sign
    wanted = slow.adapted(CASE.tables["vectors"], plain_query(CASE, history), signs)
    found = scores_of(device, [100 + row for row in history])
    hidden = {*history, *signs}
    assert set(found) == {100 + row for row in range(1, 31) if row not in hidden}
    for item, score in found.items():
        assert score == pytest.approx(wanted[int(item) - 100], rel=1e-3, abs=1e-3)


def test_neighbours_of_what_was_liked_rise_and_of_what_was_disliked_fall(tmp_path):
    random = np.random.default_rng(4)
    vectors = random.normal(size=(31, 6)).astype(np.float32)
    vectors[3] = 1.0  # the query without a history likes that
    vectors[2], vectors[4] = vectors[1] + 0.01, vectors[3] + 0.01
    case = make_case(items=30, retrieve=(NEAREST,), tables={"vectors": vectors})
    device = Device.load(case.write(tmp_path / "export"))
    before = scores_of(device, [])
    device.adapt(liked=[101], disliked=[103])
    after = scores_of(device, [])
    assert after[102] > before[102]
    assert after[104] < before[104]
    assert 101 not in after
    assert 103 not in after


def test_forgetting_restores_every_bit(device):
    before = device.recommend([105, 106], k=30)
    device.adapt(liked=[101, 102], disliked=[103])
    assert device.recommend([105, 106], k=30) != before
    device.forget()
    assert device.recommend([105, 106], k=30) == before


def test_the_same_judgements_give_the_same_lists(folder, device):
    other = Device.load(folder)
    for each in (device, other):
        each.adapt(liked=[101, 109], disliked=[104])
    assert device.recommend([102]) == other.recommend([102])


def test_a_later_judgement_takes_the_place_of_an_earlier_one(folder, device):
    device.adapt(liked=[101])
    device.adapt(disliked=[101])
    other = Device.load(folder)
    other.adapt(disliked=[101])
    assert device.recommend([], k=30) == other.recommend([], k=30)


def test_an_item_that_the_export_does_not_hold_is_passed_over(device):
    before = device.recommend([])
    device.adapt(liked=[999], disliked=["nothing"])
    assert device.recommend([]) == before


def test_only_the_latest_judgements_count_and_all_stay_hidden(tmp_path):
    case = make_case(items=LATEST + 30, retrieve=(NEAREST,))
    folder = case.write(tmp_path / "export")
    device, other = Device.load(folder), Device.load(folder)
    device.adapt(disliked=[101, 102, 103], liked=[104])
    device.adapt(liked=range(105, 105 + LATEST))
    other.adapt(liked=range(105, 105 + LATEST))
    found, wanted = scores_of(device, []), scores_of(other, [])
    assert set(wanted) - set(found) == {101, 102, 103, 104}
    assert all(wanted[item] == score for item, score in found.items())


def test_items_that_are_all_alike_teach_nothing(tmp_path):
    same = make_case(items=30, retrieve=(NEAREST,), tables={"vectors": np.ones((31, 6), np.float32)})
    device = Device.load(same.write(tmp_path / "export"))
    before = scores_of(device, [])
    device.adapt(liked=[101])
    assert {item: before[item] for item in before if item != 101} == scores_of(device, [])


def test_popularity_is_the_same_for_everybody(tmp_path):
    popular = make_case(items=30, retrieve=(POPULAR,), inputs=())
    device = Device.load(popular.write(tmp_path / "export"))
    before = scores_of(device, [])
    device.adapt(liked=[101], disliked=[102])
    after = scores_of(device, [])
    assert {item: before[item] for item in after} == after


def test_the_ranker_reads_the_adapted_scores(tmp_path):
    vectors = CASE.tables["vectors"]
    alone = replace(make_case(items=30, rank=RANK).rank, scores=("towers",), keep=30)
    case = make_case(items=30, rank=alone, retrieve=(NEAREST,))
    device = Device.load(case.write(tmp_path / "export"))
    device.adapt(liked=[103])
    wanted = slow.adapted(vectors, plain_query(case, []), {3: 1}) + case.tables["rank_items"].sum(1)
    for item, score in scores_of(device, []).items():
        assert score == pytest.approx(wanted[int(item) - 100], rel=1e-3, abs=1e-3)
