"""A shop with a trained funnel, made once for all tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.cli_cases import make_quick, shortlist, write_shop


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables, `shortlist.toml` and `bundle`."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(folder)
    place = ["--out", folder / "shortlist.toml"]
    tables = [
        folder / "events.parquet",
        "--users",
        folder / "users.parquet",
        "--items",
        folder / "items.parquet",
    ]
    assert shortlist("init", *tables, *place).code == 0
    make_quick(folder / "shortlist.toml")
    assert shortlist("train", "--config", folder / "shortlist.toml").code == 0
    return folder
