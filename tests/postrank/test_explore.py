from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from postrank_cases import NOW, Case, cases, make_case
from reference import postrank as slow

from shortlist.errors import ConfigError, DataError
from shortlist.postrank import Explore
from shortlist.postrank.draws import request_keys, uniforms

THOMPSON = {"successes": "clicks", "trials": "shown"}


def known_users(case: Case) -> Case:
    case.requests.users.clamp_(min=1)
    return case


@settings(max_examples=60, deadline=None)
@given(case=cases(), size=st.integers(1, 8), slots=st.integers(1, 9), seed=st.integers(-(2**70), 2**70))
def test_reserved_places_equal_the_slow_reference(case, size, slots, seed):
    case = known_users(case)
    exposure = case.catalogue.items["shown"].fill_null(0).to_list()
    found = case.lists(Explore(slots, exposure="shown"), size=size, seed=seed)
    for row, pairs in enumerate(case.pairs):
        key = slow.request_key(seed, int(case.requests.users[row]), int(case.requests.times[row]))
        assert found[row] == slow.reserve([item for item, _ in pairs], exposure, size, slots, key)


@settings(max_examples=60, deadline=None)
@given(
    case=cases(), size=st.integers(1, 8), chance=st.sampled_from([0, 0.1, 0.5, 1]), seed=st.integers(0, 99)
)
def test_epsilon_equals_the_slow_reference(case, size, chance, seed):
    case = known_users(case)
    found = case.lists(Explore(method="epsilon", epsilon=chance), size=size, seed=seed)
    for row, pairs in enumerate(case.pairs):
        key = slow.request_key(seed, int(case.requests.users[row]), int(case.requests.times[row]))
        assert found[row] == slow.epsilon([item for item, _ in pairs], chance, size, key)


def many_requests(count: int, *, length: int = 10, **columns) -> Case:
    lists = [list(range(1, length + 1))] * count
    return make_case(lists, num_items=length, columns=columns)


@pytest.mark.parametrize("explore", [Explore(2), Explore(2, "thompson", **THOMPSON)])
def test_the_places_before_the_slots_are_left_alone(explore):
    case = many_requests(50, clicks=[1] * 10, shown=[5] * 10)
    result = case.rerank(explore, size=6)
    assert all(row[:4] == [1, 2, 3, 4] for row in result.items.to_lists())
    assert result.features["explored"].reshape(50, 10).tolist() == [[0] * 4 + [1, 1] + [0] * 4] * 50


def test_reserved_places_go_to_items_in_proportion_to_their_weights():
    case = many_requests(4_000, length=4, seen=[0, 0, 1, 3])
    drawn = Counter(row[1] for row in case.lists(Explore(1, exposure="seen"), size=2))
    weights = {2: 1.0, 3: 0.5, 4: 0.25}
    for item, weight in weights.items():
        assert drawn[item] / 4_000 == pytest.approx(weight / 1.75, abs=0.03)


def test_by_default_the_counts_of_the_training_data_are_the_exposure():
    case = many_requests(1_000)  # item i was seen i times
    drawn = Counter(row[4] for row in case.lists(Explore(1), size=5))
    assert drawn[5] > drawn[10] > 0


def test_epsilon_explores_each_place_equally_often_and_uniformly():
    case = many_requests(4_000)
    result = case.rerank(Explore(method="epsilon", epsilon=0.2), size=5)
    explored = result.features["explored"].reshape(4_000, 10)
    assert explored[:, :5].mean(0).tolist() == pytest.approx([0.2] * 5, abs=0.03)
    assert not bool(explored[:, 5:].any())
    drawn = Counter(result.items.values[result.features["explored"] > 0].tolist())
    assert set(drawn) == {6, 7, 8, 9, 10}
    assert max(drawn.values()) / min(drawn.values()) < 1.25


def test_thompson_draws_follow_the_beta_posterior():
    case = many_requests(4_000, length=2, clicks=[30, 3], shown=[100, 9])
    first = sum(row[0] == 1 for row in case.lists(Explore(2, "thompson", **THOMPSON), size=2)) / 4_000
    torch.manual_seed(0)
    one = torch.distributions.Beta(31.0, 71.0).sample((200_000,))
    two = torch.distributions.Beta(4.0, 7.0).sample((200_000,))
    assert first == pytest.approx(float((one > two).float().mean()), abs=0.03)


def test_thompson_prefers_what_is_known_to_be_good():
    case = many_requests(300, length=4, clicks=[0, 0, 0, 900], shown=[1000, 1000, 1000, 1000])
    assert all(row[1] == 4 for row in case.lists(Explore(1, "thompson", **THOMPSON), size=2))


def test_a_seed_gives_the_same_lists_again_and_another_seed_others():
    case = many_requests(50)
    for explore in (Explore(3), Explore(method="epsilon", epsilon=0.5)):
        assert case.lists(explore, seed=1) == case.lists(explore, seed=1)
        assert case.lists(explore, seed=1) != case.lists(explore, seed=2)


def test_users_and_moments_draw_differently_and_a_repeated_request_the_same():
    same = make_case([list(range(1, 13))] * 2, users=[7, 7], times=[NOW, NOW])
    assert len(set(map(tuple, same.lists(Explore(5))))) == 1
    for other in ({"users": [7, 8]}, {"users": [7, 7], "times": [NOW, NOW + 1]}):
        case = make_case([list(range(1, 13))] * 2, **other)
        assert len(set(map(tuple, case.lists(Explore(5))))) == 2


def test_unknown_users_are_told_apart_by_their_histories():
    case = make_case([list(range(1, 13))] * 3, histories=[[1], [2], [1]])
    case.requests.users.zero_()
    one, two, three = case.lists(Explore(5))
    assert one == three != two


def test_the_draws_are_uniform_and_independent_of_each_other():
    requests = many_requests(2_000).requests
    keys = request_keys(requests, seed=3)
    draws = torch.stack([uniforms(keys, torch.full_like(keys, number)) for number in range(8)])
    assert bool(((draws > 0) & (draws < 1)).all())
    counts = torch.histc(draws, 20, 0, 1)
    assert float(((counts - 800) ** 2 / 800).sum()) < 50  # chi-squared, 19 degrees of freedom
    assert float((torch.corrcoef(draws) - torch.eye(8)).abs().max()) < 0.09


def test_a_list_that_is_too_short_is_left_in_order():
    case = make_case([[1, 2, 3]])
    assert case.lists(Explore(1), size=4) == [[1, 2, 3]]
    assert case.lists(Explore(method="epsilon", epsilon=1), size=3) == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"method": "ucb"}, "method is 'ucb'.*'reserve', 'epsilon', 'thompson'"),
        ({"slots": 0}, "slots is 0.*at least 1"),
        ({"slots": 1, "method": "epsilon"}, "slots is 1 but the method is 'epsilon'"),
        ({"epsilon": 0.1}, "epsilon is 0.1 but the method is 'reserve'"),
        ({"epsilon": 2, "method": "epsilon"}, "epsilon is 2.*from 0 to 1"),
        ({"method": "thompson", "successes": "clicks"}, "columns of successes and trials"),
        ({"exposure": ""}, "exposure is ''"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name(settings_, message):
    with pytest.raises(ConfigError, match=message):
        Explore(**settings_)


def test_impossible_counts_name_the_item():
    case = many_requests(1, clicks=[1] * 10, shown=[5] * 9 + [0], seen=[0] * 9 + [-1])
    with pytest.raises(DataError, match=r"'shown' is less than 'clicks'.*item 110"):
        case.rerank(Explore(1, "thompson", **THOMPSON))
    with pytest.raises(DataError, match=r"'seen' is negative.*item 110"):
        case.rerank(Explore(1, exposure="seen"))
