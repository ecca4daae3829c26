"""The manifest of an export: it comes back as it was, and what a stranger changed is refused by name."""

from __future__ import annotations

import copy
import hashlib
import json

import pytest

from shortlist.errors import BundleError
from shortlist.export.manifest import (
    DeviceFile,
    DeviceInput,
    DeviceItems,
    DeviceManifest,
    DeviceRanker,
    DeviceRetriever,
    DeviceTable,
)
from shortlist.export.manifest_parser import parse_manifest

CONTENT = b"some numbers"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
FILE = DeviceFile(f"files/{DIGEST[:16]}.table", len(CONTENT), DIGEST)


def manifest() -> DeviceManifest:
    return DeviceManifest(
        shortlist="0.1.0",
        source="",
        files={"query.onnx": FILE, "rank.onnx": FILE, "vectors": FILE, "items": FILE},
        tables={"vectors": DeviceTable("vectors", "int8", 4, 2)},
        items=DeviceItems("items", 3, {"title": "text", "genres": "tags"}, 0.5, None),
        inputs=(
            DeviceInput("history", "history", table="vectors", length=9),
            DeviceInput("device", "category", column="device", values=("desk", "phone")),
            DeviceInput("time", "timestamp", column="time", now=True),
        ),
        retrieve=(
            DeviceRetriever("nearest", "towers", 9, "vectors", model="query.onnx", inputs=("history",)),
            DeviceRetriever("popular", "popular", 5, "vectors"),
        ),
        rank=DeviceRanker("rank.onnx", 5, ("history", "device"), None, ("towers",)),
        postrank=({"kind": "Cap", "column": "genres", "at_most": 2},),
        diversity_table="vectors",
        size=6,
        seed=1,
    )


def as_json() -> dict:
    return json.loads(json.dumps(manifest().to_dict()))


def test_a_manifest_comes_back_as_it_was(tmp_path):
    manifest().write(tmp_path)
    assert DeviceManifest.read(tmp_path) == manifest()


def test_fields_that_say_nothing_are_left_out():
    inputs = as_json()["inputs"]
    assert inputs[0] == {"name": "history", "kind": "history", "table": "vectors", "length": 9}
    assert as_json()["retrieve"][1] == {"kind": "popular", "name": "popular", "k": 5, "table": "vectors"}


MISTAKES = {
    "kind": "shortlist.bundle",
    "size": 0,
    "seed": "1",
    "retrieve": [],
    "diversity_table": "other",
    "exclude_history": 1,
    "items": None,
    "items.count": -1,
    "items.traffic": 1.5,
    "items.file": "other",
    "items.columns": {"title": "picture"},
    "files.vectors.path": "../../etc/passwd",
    "files.items.path": "files/0123456789abcdef.items",
    "files.vectors.bytes": -1,
    "files.vectors.sha256": "0" * 63,
    "tables.vectors.rows": 5,
    "tables.vectors.dim": 0,
    "tables.vectors.encoding": "int2",
    "tables.vectors.file": "other",
    "inputs.0.table": "other",
    "inputs.0.length": 0,
    "inputs.0.kind": "picture",
    "inputs.1.values": [None],
    "inputs.1.column": None,
    "retrieve.0.kind": "far",
    "retrieve.0.model": "other.onnx",
    "retrieve.0.inputs": ["other"],
    "retrieve.0.k": True,
    "rank.table": "other",
    "rank.scores": ["other"],
    "postrank.0.kind": "Shuffle",
    "postrank": [1],
}


@pytest.mark.parametrize("field", MISTAKES)
def test_a_wrong_field_is_refused_by_its_name(field):
    content = as_json()
    *path, last = [int(part) if part.isdigit() else part for part in field.split(".")]
    holder = content
    for part in path:
        holder = holder[part]
    holder[last] = MISTAKES[field]
    with pytest.raises(BundleError, match="export the bundle again") as caught:
        parse_manifest(content, where="here")
    assert caught.value.where == "here"


@pytest.mark.parametrize("field", sorted(set(as_json()) - {"kind"}))
def test_a_missing_field_is_refused(field):
    content = as_json()
    del content[field]
    with pytest.raises(BundleError, match=field):
        parse_manifest(content, where="here")


def test_a_newer_format_is_refused_as_newer():
    with pytest.raises(BundleError, match=r"format 2.*upgrade shortlist"):
        parse_manifest(as_json() | {"format": 2}, where="here")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"kind": "shortlist-device"}', "[" * 100_000])
def test_what_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        DeviceManifest.read(tmp_path)


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(BundleError, match="there is no manifest"):
        DeviceManifest.read(tmp_path)


def test_a_file_is_read_only_if_it_is_the_one_that_was_written(tmp_path):
    (tmp_path / "files").mkdir()
    file = tmp_path / FILE.path
    with pytest.raises(BundleError, match=r"missing.*fetch the file again"):
        FILE.read(tmp_path)
    file.write_bytes(CONTENT)
    assert FILE.read(tmp_path) == CONTENT
    file.write_bytes(CONTENT[:-1])
    with pytest.raises(BundleError, match="11 bytes, not 12"):
        FILE.read(tmp_path)
    file.write_bytes(CONTENT + b"x")
    with pytest.raises(BundleError, match="more than its 12 bytes"):
        FILE.read(tmp_path)
    file.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(BundleError, match="damaged"):
        FILE.read(tmp_path)


def test_reading_changes_nothing():
    content = as_json()
    before = copy.deepcopy(content)
    parse_manifest(content, where="here")
    assert content == before
