"""Tables of a device: what goes in comes out, as nearly as the encoding promises."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from shortlist.errors import BundleError, DataError, ShapeError
from shortlist.export.item_table import read_item_table, write_item_table
from shortlist.export.manifest import ENCODINGS
from shortlist.export.tables import LARGEST, decode_table, encode_table, table_bytes

TABLES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(0, 9), st.integers(1, 9)),
    elements=st.floats(-1000, 1000, width=32),
)


def round_trip(values: np.ndarray, encoding: str) -> np.ndarray:
    content = encode_table(values, encoding)
    assert len(content) == table_bytes(encoding, rows=len(values), dim=values.shape[1])
    return decode_table(content, encoding, rows=len(values), dim=values.shape[1])


@given(TABLES)
def test_float32_keeps_every_bit(values):
    assert np.array_equal(round_trip(values, "float32"), values)


@given(TABLES)
def test_float16_keeps_eleven_bits(values):
    assert np.allclose(round_trip(values, "float16"), values, rtol=2**-11, atol=2**-24)


@given(TABLES)
def test_int8_is_off_by_half_a_step_of_its_row_at_most(values):
    step = np.abs(values).max(axis=1, initial=0) / LARGEST["int8"]
    assert (np.abs(round_trip(values, "int8") - values) <= 0.502 * step[:, None] + 1e-6).all()


@given(TABLES)
def test_int4_is_no_worse_than_plain_rounding_with_the_scale_in_bfloat16(values):
    step = np.abs(values).max(axis=1, initial=0, keepdims=True) / np.float32(LARGEST["int4"])
    step = torch.from_numpy(step).bfloat16().float().numpy()
    plain = np.rint(values / np.where(step > 0, step, 1)).clip(-7, 7) * step
    ours = np.square(round_trip(values, "int4").astype(np.float64) - values).sum(1)
    assert (ours <= np.square(plain.astype(np.float64) - values).sum(1) * 1.001 + 1e-6).all()


@given(TABLES, st.sampled_from(ENCODINGS))
def test_a_second_round_changes_nothing(values, encoding):
    once = round_trip(values, encoding)
    assert np.allclose(round_trip(once, encoding), once, rtol=1e-5, atol=1e-30)


@given(TABLES)
def test_a_scale_is_the_nearest_bfloat16_of_the_largest_number_over_the_largest_code(values):
    full = torch.from_numpy(np.abs(values).max(axis=1, initial=0) / np.float32(LARGEST["int8"])).bfloat16()
    content = encode_table(values, "int8")
    assert content[: 2 * len(values)] == full.view(torch.int16).numpy().astype("<i2").tobytes()


def test_a_row_of_zeros_stays_one_and_a_row_of_numbers_does_not_become_one():
    values = np.zeros((2, 5), np.float32)
    values[1, 3] = 1e-20
    for encoding in ("float32", "int8", "int4"):
        assert (round_trip(values, encoding).any(axis=1) == [False, True]).all()


def test_codes_of_four_bits_lie_two_a_byte_the_lower_column_first():
    content = encode_table(np.array([[7, -7, 1]], np.float32), "int4")
    assert list(content) == [0x80, 0x3F, 0x97, 0x01]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_table_cut_short_is_refused(encoding):
    content = encode_table(np.ones((3, 4), np.float32), encoding)
    with pytest.raises(BundleError, match="fetch the file again"):
        decode_table(content[:-1], encoding, rows=3, dim=4)


def test_what_is_no_table_of_numbers_is_refused():
    with pytest.raises(DataError, match="nan"):
        encode_table(np.array([[np.nan]]), "float32")
    with pytest.raises(DataError, match="float16"):
        encode_table(np.array([[1e6]]), "float16")
    with pytest.raises(ShapeError, match="two axes"):
        encode_table(np.ones(3), "int8")
    with pytest.raises(BundleError, match="int2"):
        decode_table(b"", "int2", rows=0, dim=1)
    with pytest.raises(BundleError, match="no number"):
        decode_table(np.array([[np.nan]], "<f4").tobytes(), "float32", rows=1, dim=1)


def test_the_item_table_comes_back_and_the_same_table_gives_the_same_bytes():
    ids, columns = ["a", "ü"], {"title": ["One", None], "genres": [["x"], []]}
    content = write_item_table(ids, columns)
    assert read_item_table(content, count=2) == (ids, columns)
    assert content == write_item_table(ids, columns)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=9))
def test_whole_numbers_come_back_as_ids(ids):
    assert read_item_table(write_item_table(ids, {})) == (ids, {})


def test_ids_that_count_up_take_no_room():
    assert len(write_item_table(range(100_000), {})) < 1000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no gzip",
        gzip.compress(b"[]"),
        gzip.compress(b"{"),
        gzip.compress(b'{"ids": [1, 1], "columns": {}}'),
        gzip.compress(b'{"id_steps": [1, 0], "columns": {}}'),
        gzip.compress(b'{"id_steps": [1, 0.5], "columns": {}}'),
        gzip.compress(b'{"ids": [1], "columns": {"title": []}}'),
        gzip.compress(b'{"ids": [[]], "columns": {}}'),
        write_item_table([1], {})[:-3],
        write_item_table([1], {}) + b"x",
    ],
)
def test_what_is_no_item_table_is_refused(content):
    with pytest.raises(BundleError, match="item table"):
        read_item_table(content)
