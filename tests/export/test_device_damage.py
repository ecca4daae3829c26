"""What is damaged, partial, foreign or newer is refused, and the message says which file and what to do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_cases import HISTORY, NEAREST, RANK, make_case, model_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from shortlist.errors import BundleError, Error
from shortlist.export import Device

NAMES = ("query.onnx", "rank.onnx", "vectors", "popularity", "rank_items", "items")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export with every kind of file."""
    return make_case(rank=RANK).write(tmp_path / "export")


def manifest_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def file_of(folder: Path, name: str) -> Path:
    return folder / manifest_of(folder)["files"][name]["path"]


def change(folder: Path, path: tuple[Any, ...], value: Any) -> None:
    """Another value in the manifest."""
    manifest = inner = manifest_of(folder)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Device.load(folder)
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_is_noticed(folder, name):
    file = file_of(folder, name)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    message = refused(folder)
    assert str(file) in message
    assert "checksum differs" in message
    assert "fetch the file again, or export the bundle again" in message


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [0, -1, 1])
def test_a_file_that_is_cut_short_or_too_long_is_noticed(folder, name, size):
    file = file_of(folder, name)
    content = file.read_bytes()
    file.write_bytes(content + b"x" if size == 1 else content[:size])
    message = refused(folder)
    assert str(file) in message
    assert "bytes" in message


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(folder, name):
    file = file_of(folder, name)
    file.unlink()
    assert str(file) in refused(folder)


def test_a_folder_without_a_manifest_is_no_export(tmp_path):
    assert "manifest.json" in refused(tmp_path)
    assert "manifest.json" in refused(tmp_path / "absent")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(folder, content):
    (folder / "manifest.json").write_bytes(content)
    assert "manifest.json" in refused(folder)


def test_a_newer_format_is_refused(folder):
    change(folder, ("format",), 2)
    assert "format 2, this shortlist reads up to 1" in refused(folder)


def test_another_kind_of_folder_is_refused(folder):
    change(folder, ("kind",), "shortlist.bundle")
    assert "shortlist.bundle" in refused(folder)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("tables", "vectors", "encoding"), "int2", "encoding is 'int2'"),
        (("tables", "vectors", "rows"), 40, "40 rows for 40 items"),
        (("tables", "vectors", "dim"), 7, "41 x 7"),
        (("items", "count"), 39, "41 rows for"),
        (("items", "columns", "director"), "text", "lacks column 'director'"),
        (("items", "columns", "title"), "number", "column 'title' of number holds str"),
        (("items", "columns", "year"), "tags", "column 'year' of tags holds int"),
        (("retrieve",), [], "no retriever"),
        (("retrieve", 0, "table"), "absent", "table is 'absent'"),
        (("retrieve", 0, "inputs"), [], "reads 'history', 'history_mask'"),
        (("retrieve", 1, "table"), "vectors", "6 numbers an item, not one"),
        (("rank", "scores"), ["als"], "'als', which is not there"),
        (("rank", "calibrated"), True, "does not give 'calibrated'"),
        (("rank", "table"), None, "reads 'items'"),
        (("files", "items", "path"), "../items.json", "path is '../items.json'"),
        (("size",), 0, "size is 0"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(folder, path, value, problem):
    change(folder, path, value)
    assert problem in refused(folder)


def test_a_file_that_is_no_model_is_refused(tmp_path):
    folder = make_case(models={"query.onnx": b"not a model"}).write(tmp_path / "export")
    message = refused(folder)
    assert "no model that ONNX Runtime reads" in message
    assert str(file_of(folder, "query.onnx")) in message


def test_a_query_of_another_width_is_refused(tmp_path):
    case = make_case(dim=6)
    other = make_case(dim=6, tables={"vectors": np.ones((41, 9), np.float32)})
    wide = replace(HISTORY, table="history")
    tables = {**other.tables, "history": case.tables["vectors"]}
    export = replace(other, tables=tables, inputs=(wide,)).write(tmp_path / "export")
    with pytest.raises(BundleError, match=r"Incompatible dimensions .*\.onnx\); fetch the file again"):
        Device.load(export)


def test_a_model_that_gives_no_numbers_is_refused(tmp_path):
    nodes = [
        helper.make_node("ReduceMean", ["history"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Log", ["mean"], ["query"]),
    ]
    model = model_bytes(nodes, {"history": ["batch", "n", 6]}, {"query": ["batch", 6]}, {})
    case = make_case(models={"query.onnx": model}, retrieve=(NEAREST,))
    device = Device.load(case.write(tmp_path / "export"))
    with pytest.raises(BundleError, match=r"query are not finite.*train and export it again"):
        device.recommend([101])


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 1 << 65),
    st.floats(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.just([{}]),
    st.sampled_from(["vectors", "popularity", "items", "query.onnx", "history", "nearest", "int4"]),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [each for key, part in inner for each in ((*path, key), *places(part, (*path, key)))]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    postrank = (
        {"kind": "Freshness", "half_life": "30d", "strength": 0.5, "column": "released"},
        {"kind": "Diversity", "strength": 0.5, "method": "mmr"},
        {"kind": "Cap", "column": "genres", "at_most": 2, "fill": True},
    )
    folder = make_case(rank=RANK, postrank=postrank).write(tmp_path_factory.mktemp("sound") / "export")
    return folder, (folder / "manifest.json").read_text()


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_forged_manifest_is_refused_or_answers_and_nothing_else(sound, data):
    folder, text = sound
    (folder / "manifest.json").write_text(text)
    path = data.draw(st.sampled_from(places(json.loads(text))))
    change(folder, path, data.draw(JUNK))
    try:
        Device.load(folder).recommend([101, 102])
    except Error as error:
        print(error)  # anything else than the library's own errors fails the test
