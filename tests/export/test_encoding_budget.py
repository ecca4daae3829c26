"""A budget of bytes: the most precise encodings that fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shortlist.errors import ConfigError
from shortlist.export.budget import choose_encodings, parse_bytes, tables_bytes
from shortlist.export.manifest import ENCODINGS

SHAPES = {"vectors": (1000, 64), "history": (1000, 32), "popularity": (1000, 1)}


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [("2MB", 2_000_000), ("512 KiB", 524_288), ("1.5kb", 1500), ("7", 7), (7, 7), (" 3 B ", 3)],
)
def test_a_size_is_read(size, bytes_):
    assert parse_bytes(size) == bytes_


@pytest.mark.parametrize("size", ["", "MB", "-1MB", "2 miles", "0", 0, True, "1e9", None])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(ConfigError, match="2MB"):
        parse_bytes(size)


def test_without_a_budget_nothing_is_lost():
    assert set(choose_encodings(SHAPES).values()) == {"float32"}


def test_an_encoding_can_be_forced_but_a_column_alone_stays_as_it_is():
    chosen = choose_encodings(SHAPES, encoding="int4")
    assert chosen == {"vectors": "int4", "history": "int4", "popularity": "float32"}


def test_the_first_table_is_raised_before_the_second():
    between = tables_bytes(SHAPES, {"vectors": "int8", "history": "int4", "popularity": "float32"})
    chosen = choose_encodings(SHAPES, room=between)
    assert chosen == {"vectors": "int8", "history": "int4", "popularity": "float32"}


@given(st.integers(1, 600_000))
def test_what_is_chosen_fits_and_one_step_more_for_all_would_not(room):
    try:
        chosen = choose_encodings(SHAPES, room=room)
    except ConfigError:
        worst = {"vectors": "int4", "history": "int4", "popularity": "float32"}
        assert tables_bytes(SHAPES, worst) > room
        return
    assert tables_bytes(SHAPES, chosen) <= room
    better = {
        name: ENCODINGS[max(ENCODINGS.index(each) - 1, 0)] if SHAPES[name][1] > 1 else each
        for name, each in chosen.items()
    }
    assert better == chosen or tables_bytes(SHAPES, better) > room


@given(st.integers(1, 600_000), st.integers(0, 100_000))
def test_more_room_never_means_fewer_bits(room, more):
    def bits(size: int) -> int:
        try:
            return min(-ENCODINGS.index(each) for each in choose_encodings(SHAPES, room=size).values())
        except ConfigError:
            return -len(ENCODINGS)

    assert bits(room + more) >= bits(room)


def test_what_does_not_fit_is_refused_with_its_size():
    with pytest.raises(ConfigError, match=r"int4.*room for 10.*--items"):
        choose_encodings(SHAPES, room=10)
    with pytest.raises(ConfigError, match=r"int8.*room for 10"):
        choose_encodings(SHAPES, encoding="int8", room=10)


def test_an_unknown_encoding_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'int8'"):
        choose_encodings(SHAPES, encoding="int9")
