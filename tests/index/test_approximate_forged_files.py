"""Files whose checksums are right and whose contents are not: refused by name, or harmless."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shortlist.errors import BundleError
from shortlist.index import Approximate
from shortlist.index.sections import MAGIC, arrow_bytes, read_sections, write_sections

DIM, COUNT = 6, 300
Sections = dict[str, NDArray[Any]]
Forgery = Callable[[dict[str, Any], Sections], Any]


def vectors_of(n: int, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.standard_normal((n, DIM)) * rng.lognormal(0, 0.5, (n, 1)), np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a few hundred vectors in leaves: `dot`, `l2`, `compact`, and `cut` after the fourth code."""
    folder = tmp_path_factory.mktemp("forged")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shortlist.index.leaves.FLAT_ROWS", 200)
        kinds = {"dot": {}, "l2": {"metric": "l2"}, "compact": {"compact": True}}
        for name, options in (kinds | {"cut": {}}).items():
            if name == "cut":  # the only one whose codes are
                patch.setattr("shortlist.index.leaf_frame.NARROWEST", DIM)
                patch.setattr("shortlist.index.leaf_frame.STEP", 4)
                patch.setattr("shortlist.index.leaf_frame.LONGEST", 0.7)
            index = Approximate(DIM, **options)
            items = pl.DataFrame({"even": np.arange(COUNT) % 2 == 0})
            vectors = vectors_of(COUNT) * np.float32([9, 9, 9, 9, 1, 1])
            index.fit(np.arange(COUNT), vectors, items=items).save(folder / name)
    return folder


def opened(folder: Path, name: str = "dot") -> tuple[dict[str, Any], Sections]:
    header, sections = read_sections(folder / name, threads=1)
    return header, {name: array.copy() for name, array in sections.items()}


def forged(folder: Path, header: dict[str, Any], sections: Sections) -> Path:
    path = folder / "forged.index"
    write_sections(path, header, sections, threads=1)
    return path


def put(section: str, place: Any, value: Any) -> Forgery:
    return lambda header, sections: sections[section].__setitem__(place, value)


def say(key: str, value: Any) -> Forgery:
    return lambda header, sections: header.__setitem__(key, value)


def replaced(section: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Forgery:
    return lambda header, sections: sections.__setitem__(
        section, np.ascontiguousarray(change(sections[section]))
    )


def table(section: str, columns: dict[str, Any]) -> Forgery:
    return lambda header, sections: sections.__setitem__(section, arrow_bytes(pl.DataFrame(columns)))


def without(section: str) -> Forgery:
    return lambda header, sections: sections.pop(section)


def curve(**changes: Any) -> Forgery:
    return lambda header, sections: header["curve"].update(changes)


def swap_one(order: NDArray[Any]) -> NDArray[Any]:
    """A vector named twice, another not at all."""
    places = np.flatnonzero(order < COUNT)
    order[places[0]] = order[places[1]]
    return order


FORGERIES: dict[str, Forgery] = {
    "an order that names a row beyond the last": put("order", 0, COUNT),
    "an order that names nobody": put("order", slice(None), 0xFFFFFFFF),
    "an order that names one twice": replaced("order", swap_one),
    "an order with a place less": put("order", 0, 0xFFFFFFFF),
    "an order of other numbers": replaced("order", lambda a: a.astype(np.int64)),
    "an order that is cut off": replaced("order", lambda a: a[:-1]),
    "codes of another width": replaced("codes", lambda a: np.concatenate([a, a], axis=1)),
    "codes of fewer blocks": replaced("codes", lambda a: a[:-1]),
    "codes in a line": replaced("codes", lambda a: a.ravel()),
    "no codes": without("codes"),
    "scales for fewer places": replaced("scale", lambda a: a[:-16]),
    "an origin that is NaN": put("origin", 0, np.nan),
    "an origin of another width": replaced("origin", lambda a: a[:-1]),
    "no origin": without("origin"),
    "a scale that is NaN": lambda header, sections: sections["scale"].__setitem__(
        sections["order"].argmin(), np.nan
    ),
    "an infinite scale": put("scale", 0, np.inf),
    "a negative scale": put("scale", 0, -1),
    "scales where nothing lies": put("scale", slice(None), 1),
    "scales in double": replaced("scale", lambda a: a.astype(np.float64)),
    "a bias that inner products do not have": lambda header, sections: sections.update(
        bias=np.zeros_like(sections["scale"])
    ),
    "vectors of another width": replaced("vectors", lambda a: a[:, :-1]),
    "fewer vectors": replaced("vectors", lambda a: a[:-1]),
    "vectors in double": replaced("vectors", lambda a: a.astype(np.float64)),
    "no vectors": without("vectors"),
    "begins that descend": put("begins", 1, 10**6),
    "begins that are negative": put("begins", 1, -1),
    "begins that start late": put("begins", 0, 1),
    "begins that end late": put("begins", -1, 10**9),
    "begins of fewer leaves": replaced("begins", lambda a: a[:-1]),
    "begins as floats": replaced("begins", lambda a: a.astype(np.float64)),
    "centroids of another width": replaced("centroids", lambda a: a[:, :-1]),
    "fewer centroids": replaced("centroids", lambda a: a[:-1]),
    "a centroid that is NaN": put("centroids", (0, 0), np.nan),
    "a spread that is infinite": put("spreads", 0, np.inf),
    "spreads of no leaf": replaced("spreads", lambda a: a[:0]),
    "floors that ascend": put("floors", -1, 1e30),
    "a floor that is NaN": put("floors", 0, np.nan),
    "fewer floors": replaced("floors", lambda a: a[:-1]),
    "no floors": without("floors"),
    "a reach that is NaN": say("reach", float("nan")),
    "a reach that is negative": say("reach", -1),
    "leaves without a reach": say("reach", None),
    "leaves without a curve": say("curve", None),
    "a curve without depths": curve(depths=[]),
    "a curve of other depths": curve(depths=[10, 100, 1000, 10_000]),
    "a depth of 0": lambda header, sections: header["curve"]["depths"].__setitem__(0, 0),
    "an effort that is NaN": lambda header, sections: header["curve"]["efforts"].__setitem__(0, float("nan")),
    "an effort that is negative": lambda header, sections: header["curve"]["efforts"].__setitem__(0, -1),
    "a recall of 2": lambda header, sections: header["curve"]["recalls"][0].__setitem__(0, 2),
    "a ragged curve": lambda header, sections: header["curve"]["recalls"][0].append(1),
    "a curve that is a list": say("curve", [1]),
    "a curve that is a text": say("curve", "steep"),
    "a dim of 0": say("dim", 0),
    "a dim of another width": say("dim", DIM + 1),
    "a huge dim": say("dim", 10**30),
    "an infinite dim": say("dim", float("inf")),
    "a dim in words": say("dim", "six"),
    "another number of items": say("items", COUNT + 1),
    "a negative number of items": say("items", -1),
    "a huge number of items": say("items", 2**63),
    "another metric": say("metric", "l2"),
    "an unknown metric": say("metric", ["dot"]),
    "a recall of 0": say("recall", 0),
    "a recall that is NaN": say("recall", float("nan")),
    "a recall that is a list": say("recall", []),
    "a compact file with vectors": say("compact", True),
    "a negative seed": say("seed", -1),
    "a huge seed": say("seed", 2**70),
    "no seed": lambda header, sections: header.pop("seed"),
    "no kind": lambda header, sections: header.pop("kind"),
    "a kind that is a number": say("kind", 5),
    "a format that is a text": say("format", "two"),
    "no ids": without("ids"),
    "ids that are no Arrow file": put("ids", slice(-10, None), 0),
    "ids that are nothing": replaced("ids", lambda a: a[:0]),
    "fewer ids": table("ids", {"id": [1, 2]}),
    "ids that repeat": table("ids", {"id": [1] * COUNT}),
    "ids that are null": table("ids", {"id": pl.Series([None] * COUNT, dtype=pl.Int64)}),
    "ids that are lists": table("ids", {"id": [[i] for i in range(COUNT)]}),
    "ids under another name": table("ids", {"key": range(COUNT)}),
    "fewer rows of items": table("items", {"even": [True]}),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_parts_that_do_not_fit_together_are_refused_with_the_file_named(folder: Path, name: str) -> None:
    header, sections = opened(folder)
    FORGERIES[name](header, sections)
    with pytest.raises(BundleError, match=r"forged\.index"):
        Approximate.load(forged(folder, header, sections))


def test_a_distance_without_a_bias_or_with_one_that_is_nan_is_refused(folder: Path) -> None:
    for forgery in (without("bias"), put("bias", 0, np.nan), replaced("bias", lambda a: a[:-16])):
        header, sections = opened(folder, "l2")
        forgery(header, sections)
        with pytest.raises(BundleError, match=r"forged\.index"):
            Approximate.load(forged(folder, header, sections))


CUT_FORGERIES: dict[str, Forgery] = {
    "no mirrors": without("mirrors"),
    "mirrors of another width": replaced("mirrors", lambda a: a[:, :-1]),
    "fewer mirrors": replaced("mirrors", lambda a: a[:-1]),
    "more mirrors": replaced("mirrors", lambda a: np.concatenate([a, a])),
    "mirrors in double": replaced("mirrors", lambda a: a.astype(np.float64)),
    "a mirror that is NaN": put("mirrors", (0, 0), np.nan),
    "a mirror that is too long": put("mirrors", 0, 2),
    "no rest": without("rest"),
    "a rest of fewer places": replaced("rest", lambda a: a[:-16]),
    "a rest of another width": replaced("rest", lambda a: a[:, :-1]),
    "heads of another width": replaced("codes", lambda a: np.concatenate([a, a], axis=1)),
    "heads of no width": replaced("codes", lambda a: a[:, :0]),
    "no spreads of the rest": without("rest_spreads"),
    "fewer spreads of the rest": replaced("rest_spreads", lambda a: a[:-1]),
    "a spread of the rest that is NaN": put("rest_spreads", 0, np.nan),
    "a slack that is NaN": say("slack", float("nan")),
    "a slack that is negative": say("slack", -1),
    "leaves without a slack": say("slack", None),
}


@pytest.mark.parametrize("name", CUT_FORGERIES)
def test_parts_of_cut_codes_that_do_not_fit_together_are_refused_with_the_file_named(
    folder: Path, name: str
) -> None:
    header, sections = opened(folder, "cut")
    assert sections["rest"].shape[1] == 4
    CUT_FORGERIES[name](header, sections)
    with pytest.raises(BundleError, match=r"forged\.index"):
        Approximate.load(forged(folder, header, sections))


def use(path: Path) -> None:
    """Do with a file all that an index is for."""
    index = Approximate.load(path, threads=1)
    queries = vectors_of(70, seed=1)
    for effort in (None, 1, 10**9):
        index.search(queries, 10, exclude=[[1, 2]] * 70, effort=effort)
    index.search(queries, 5, where=pl.col("even"))
    index.update(index.ids[:250], vectors_of(250, seed=2))
    index.settle()
    index.remove(index.ids[:30])
    index.search(queries[0], 300)
    index.save(path.with_name("again"))


NUMBERS = st.sampled_from(
    [0, 1, -1, 2**31, -(2**31), 2**32 - 1, 2**62, 1e30, -1e30, 3e38, 1e-45, np.nan, np.inf]
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_number_anywhere_is_refused_or_does_no_harm(
    folder: Path, data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shortlist.index.leaves.FLAT_ROWS", 100)
    monkeypatch.setattr("shortlist.index.joiner.FRESH_ROWS", 100)
    header, sections = opened(folder, data.draw(st.sampled_from(["dot", "l2", "compact", "cut"]), "file"))
    arrays = sorted(sections.keys() - {"ids", "items"})
    for _ in range(data.draw(st.integers(1, 3), "changes")):
        flat = sections[data.draw(st.sampled_from(arrays), "section")].reshape(-1)
        value, place = data.draw(NUMBERS, "value"), data.draw(st.integers(0, len(flat) - 1), "place")
        with np.errstate(all="ignore"):
            flat[place] = np.asarray(value).astype(flat.dtype)
    path = forged(folder, header, sections)
    try:
        use(path)
    except BundleError as error:
        assert "forged.index" in str(error)  # noqa: PT017 — a file that is taken all the same is right too


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), value=JSON)
def test_any_json_in_the_header_is_refused_or_does_no_harm(
    folder: Path, data: st.DataObject, value: Any
) -> None:
    header, sections = opened(folder)
    key = data.draw(st.sampled_from([*sorted(header.keys() - {"sections"}), "curve"]), "key")
    if key == "curve" and data.draw(st.booleans(), "inside the curve"):
        header["curve"][data.draw(st.sampled_from(sorted(header["curve"])), "part")] = value
    else:
        header[key] = value
    try:
        Approximate.load(forged(folder, header, sections)).search(vectors_of(2), 3)
    except BundleError as error:
        assert "forged.index" in str(error)  # noqa: PT017 — a file that is taken all the same is right too


@settings(max_examples=100, deadline=None)
@given(
    data=st.data(), value=JSON | st.lists(st.integers(-(2**65), 2**65), max_size=3) | st.sampled_from("OVSU")
)
def test_any_entry_in_the_table_of_sections_is_refused(folder: Path, data: st.DataObject, value: Any) -> None:
    whole = (folder / "dot").read_bytes()
    length = int.from_bytes(whole[len(MAGIC) : len(MAGIC) + 8], "little")
    header = json.loads(whole[len(MAGIC) + 40 : len(MAGIC) + 40 + length])
    entry = data.draw(st.sampled_from(header["sections"]), "section")
    key = data.draw(st.sampled_from(["name", "dtype", "shape", "start", "checksum"]), "key")
    if entry[key] == value or (key == "name" and entry["name"] == "items"):
        return  # a file without an item table is whole
    entry[key] = value
    path = with_header(folder, json.dumps(header).encode(), whole)
    with pytest.raises(BundleError, match=r"forged\.index"):
        Approximate.load(path)


@pytest.mark.parametrize(
    "header",
    [b"", b"{", b"\xff\xfe", b"null", b"[]", b"7", b'"text"', b"{}", b'{"format": 3}', b"[" * 100_000]
    + [b'{"format": 3, "sections": %s}' % value for value in (b"null", b"7", b"[7]", b"[{}]", b"{}", b"[]")],
    ids=lambda header: header[:30].decode(errors="replace") or "nothing",
)
def test_a_header_that_makes_no_sense_is_refused_with_the_file_named(folder: Path, header: bytes) -> None:
    for content in (b"", (folder / "dot").read_bytes()):
        with pytest.raises(BundleError, match=r"forged\.index"):
            Approximate.load(with_header(folder, header, content))


def with_header(folder: Path, header: bytes, whole: bytes) -> Path:
    """A file with another header, its checksum right, before the sections of a whole file."""
    length = int.from_bytes(whole[len(MAGIC) : len(MAGIC) + 8], "little")
    sections = whole[-(-(len(MAGIC) + 40 + length) // 4096) * 4096 :]
    prefix = MAGIC + len(header).to_bytes(8, "little") + hashlib.sha256(header).digest() + header
    path = folder / "forged.index"
    path.write_bytes(prefix.ljust(-(-len(prefix) // 4096) * 4096, b"\0") + sections)
    return path


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_arrow_bytes_that_are_damaged_are_refused_or_do_no_harm(folder: Path, data: st.DataObject) -> None:
    header, sections = opened(folder)
    content = sections[data.draw(st.sampled_from(["ids", "items"]), "section")]
    for _ in range(data.draw(st.integers(1, 4), "changes")):
        content[data.draw(st.integers(0, len(content) - 1), "place")] = data.draw(st.integers(0, 255), "byte")
    try:
        Approximate.load(forged(folder, header, sections)).search(vectors_of(2), 3)
    except BundleError as error:
        assert "forged.index" in str(error)  # noqa: PT017 — a file that is taken all the same is right too
