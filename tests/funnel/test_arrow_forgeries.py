"""Forged Arrow files, whose checksums are right: refused by reading them, and the process lives on."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest
from planted import planted

from shortlist.data.arrow_files import read_arrow
from shortlist.errors import BundleError


def test_every_table_comes_back_as_it_was(tmp_path: Path):
    data = planted()
    for number, table in enumerate((data.interactions, data.users, data.items)):
        table.write_ipc(tmp_path / f"{number}.arrow")
        assert read_arrow(tmp_path / f"{number}.arrow").equals(table)
        assert read_arrow((tmp_path / f"{number}.arrow").read_bytes()).schema == table.schema


def test_categories_dates_and_nulls_come_back_as_they_were(tmp_path: Path):
    table = pl.DataFrame(
        {
            "enum": pl.Series(["a", None, "b"], dtype=pl.Enum(["a", "b", "c"])),
            "category": pl.Series(["x", "y", None], dtype=pl.Categorical),
            "vector": pl.Series([[1.0, 2.0], None, [3.0, 4.0]], dtype=pl.Array(pl.Float32, 2)),
            "day": pl.Series([0, 1, None]).cast(pl.Date),
            "moment": pl.Series([0, 1, None]).cast(pl.Datetime("us", "UTC")),
            "nothing": [None, None, None],
        }
    )
    table.write_ipc(tmp_path / "table.arrow")
    assert read_arrow(tmp_path / "table.arrow").equals(table)
    assert read_arrow(tmp_path / "table.arrow").schema == table.schema


def test_bytes_at_random_places_are_a_bundle_error_or_a_table(tmp_path: Path):
    planted().items.write_ipc(tmp_path / "items.arrow")
    content = (tmp_path / "items.arrow").read_bytes()
    refused = 0
    for seed in range(150):
        draw, forged = random.Random(seed), bytearray(content)
        for _ in range(draw.choice([1, 2, 10, 40])):
            forged[draw.randrange(len(forged))] = draw.randrange(256)
        try:
            table = read_arrow(bytes(forged), where="items.arrow")
        except BundleError as error:
            refused += "items.arrow" in str(error)
        else:
            assert len(table.to_dicts()) == len(table)  # every value can be read
    assert refused > 30


@pytest.mark.parametrize("content", [b"", b"ARROW1", b"ARROW1\0\0" * 9])
def test_what_is_no_arrow_file_is_refused_with_its_path(content: bytes, tmp_path: Path):
    file = tmp_path / "ids.arrow"
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"not an Arrow file.*ids\.arrow"):
        read_arrow(file)
    with pytest.raises(BundleError, match="not an Arrow file"):
        read_arrow(tmp_path / "nowhere.arrow")
