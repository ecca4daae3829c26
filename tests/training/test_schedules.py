from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.errors import ConfigError
from shortlist.training import make_schedule


def test_without_a_kind_the_learning_rate_stays():
    schedule = make_schedule(None, 10)
    assert [schedule.factor(step) for step in range(10)] == [1.0] * 10
    assert schedule.is_constant


def test_a_warmup_rises_in_equal_parts_to_one():
    schedule = make_schedule(None, 10, warmup_steps=4)
    assert [schedule.factor(step) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert not schedule.is_constant


def test_cosine_and_linear_are_at_a_half_in_the_middle():
    for kind in ("cosine", "linear"):
        schedule = make_schedule(kind, 110, warmup_steps=10)
        assert schedule.factor(10) == 1.0
        assert schedule.factor(60) == pytest.approx(0.5)
        assert schedule.factor(110) == pytest.approx(0.0)


@given(kind=st.sampled_from(["cosine", "linear"]), total=st.integers(1, 500), data=st.data())
def test_a_schedule_rises_through_its_warmup_then_only_falls(kind, total, data):
    warmup = data.draw(st.integers(0, total - 1))
    schedule = make_schedule(kind, total, warmup_steps=warmup)
    factors = [schedule.factor(step) for step in range(total + 3)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors[:warmup] == sorted(factors[:warmup])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert factors[total] == pytest.approx(0)


def test_a_function_of_the_step_is_a_schedule():
    schedule = make_schedule(lambda step: 0.5**step, 10, warmup_steps=2)
    assert [schedule.factor(step) for step in range(3)] == [0.5, 0.5, 0.25]


def test_a_plateau_is_a_tenth_of_the_rate_for_each_epoch_that_was_none_better():
    schedule = make_schedule("plateau", 10, warmup_steps=2)
    assert [schedule.factor(step) for step in (0, 1, 9)] == [0.5, 1.0, 1.0]
    assert [schedule.factor(9, misses=misses) for misses in (1, 2)] == pytest.approx([0.1, 0.01])
    assert schedule.needs_monitor
    assert make_schedule("cosine", 10).factor(5, misses=3) == make_schedule("cosine", 10).factor(5)


def test_a_misspelt_schedule_is_answered_with_the_right_one():
    with pytest.raises(ConfigError, match="did you mean 'cosine'"):
        make_schedule("cosin", 10)


@pytest.mark.parametrize("warmup", [-1, 10, 11])
def test_a_warmup_that_does_not_end_is_refused(warmup):
    with pytest.raises(ConfigError, match=f"warmup_steps is {warmup}, but the training has 10 steps"):
        make_schedule(None, 10, warmup_steps=warmup)
