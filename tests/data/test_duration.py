"""Lengths of time as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.data.duration import LONGEST, SECONDS, parse_duration
from shortlist.errors import ConfigError


@given(st.integers(1, 10**9), st.sampled_from("smhdw"), st.sampled_from(["", " "]))
def test_a_number_and_a_unit_are_seconds(number, unit, space):
    assert parse_duration(f"{space}{number}{space}{unit}{space}") == number * SECONDS[unit]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0d", "zero"),
        (f"{LONGEST}s", "too long"),
        ("9" * 5000 + "w", "too long"),
        ("-1d", "not a length of time"),
        ("1.5h", "not a length of time"),
        ("30", "not a length of time"),
        ("30 days", "not a length of time"),
        ("", "not a length of time"),
        ("٣d", "not a length of time"),
        (30, "not a length of time"),
    ],
)
def test_anything_else_is_refused_with_an_example(text, says):
    with pytest.raises(ConfigError, match=rf"(?s)^half_life is .*{says}.*such as \"90m\""):
        parse_duration(text, field="half_life")
