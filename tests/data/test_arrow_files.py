"""Arrow files are read when they are whole and refused by name when they are not."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data.arrow_files import read_arrow
from shortlist.errors import BundleError

TABLE = pl.DataFrame({"id": ["a", "b", None], "bag": [[1, 2], [], None], "x": [1.5, None, 2.5]})


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    file = tmp_path_factory.mktemp("arrow") / "table.arrow"
    TABLE.write_ipc(file)
    return file.read_bytes()


def test_a_table_comes_back_from_a_file_and_from_its_content(tmp_path, content):
    file = tmp_path / "table.arrow"
    file.write_bytes(content)
    assert read_arrow(file).equals(TABLE)
    assert read_arrow(content).equals(TABLE)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_changed_byte_gives_a_table_or_an_error_that_names_the_file(content, data):
    place = data.draw(st.integers(0, len(content) - 1))
    changed = content[:place] + bytes([data.draw(st.integers(0, 255))]) + content[place + 1 :]
    refusal = refused(changed)
    assert refusal is None or "t.arrow" in refusal


def refused(content: bytes) -> str | None:
    """What the error says, or None where a table comes back."""
    try:
        read_arrow(content, where="t.arrow").rows()
    except BundleError as error:
        return str(error)
    return None


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_shortened_file_is_refused_by_name(tmp_path, content, share):
    file = tmp_path / "table.arrow"
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BundleError, match=r"not an Arrow file.*table\.arrow.*save it again"):
        read_arrow(file)
    with pytest.raises(BundleError, match=r"gone\.arrow"):
        read_arrow(tmp_path / "gone.arrow")
