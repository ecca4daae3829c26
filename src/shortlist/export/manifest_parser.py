"""From the JSON of a manifest, which a stranger may have written, to its parts: nothing is taken on trust."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, Literal, TypeVar, get_args

from shortlist.errors import BundleError
from shortlist.export.manifest import (
    ENCODINGS,
    FORMAT,
    KIND,
    DeviceFile,
    DeviceInput,
    DeviceItems,
    DeviceManifest,
    DeviceRanker,
    DeviceRetriever,
    DeviceTable,
    InputKind,
)

AGAIN = "export the bundle again"
COLUMN_KINDS = ("text", "tags", "number", "boolean", "timestamp")
STAGE_KINDS = ("Boost", "Cap", "Diversity", "Exclude", "Freshness")
PATH = re.compile(r"files/([0-9a-f]{16})\.[a-z0-9]{1,16}")  # no way out of the folder
SHA256 = re.compile(r"[0-9a-f]{64}")
# Beyond them sizes of files are no longer exact numbers in a browser, or no device could hold them.
MOST_ROWS, MOST_COLUMNS, MOST_BYTES = 1 << 31, 1 << 16, 1 << 40

T = TypeVar("T")


def parse_manifest(content: Any, *, where: str) -> DeviceManifest:
    """Check the content of a manifest.

    Args:
        content: what the JSON held.
        where: the file's path, for messages.

    Raises:
        BundleError: it is of another kind, newer, or something in it is missing, of the wrong type or refers
            to what is not there.
    """
    read = Fields(content, "", where)
    if read.content.get("kind") != KIND:
        raise read.refused(f"it is of the kind {read.content.get('kind')!r:.40}, not {KIND!r}")
    number = read.whole("format")
    if number > FORMAT:
        raise BundleError(
            f"the export has format {number}, this shortlist reads up to {FORMAT}",
            where=where,
            remedy="upgrade shortlist, or export the bundle again with this version",
        )
    files = read.table_of("files", _file)
    items = _items(read.fields("items"), files)
    tables = read.table_of("tables", lambda each: _table(each, files, items.count + 1))
    inputs = tuple(_input(each, tables) for each in read.several("inputs"))
    names = [each.name for each in inputs]
    retrieve = tuple(_retriever(each, files, tables, names) for each in read.several("retrieve"))
    if not retrieve:
        raise read.refused("it has no retriever")
    rank = None if read.is_null("rank") else read.fields("rank")
    retrievers = [each.name for each in retrieve]
    return DeviceManifest(
        shortlist=read.text("shortlist"),
        source=read.text("source"),
        files=files,
        tables=tables,
        items=items,
        inputs=inputs,
        retrieve=retrieve,
        rank=None if rank is None else _ranker(rank, files, tables, names, retrievers),
        postrank=tuple(_stage(each, tables) for each in read.several("postrank")),
        diversity_table=None if read.is_null("diversity_table") else read.one_of("diversity_table", tables),
        size=read.whole("size", least=1),
        seed=read.whole("seed"),
        exclude_history=read.flag("exclude_history"),
    )


def _file(read: Fields) -> DeviceFile:
    path, sha256 = read.text("path"), read.text("sha256")
    found = PATH.fullmatch(path)
    if found is None or not SHA256.fullmatch(sha256) or not sha256.startswith(found[1]):
        raise read.refused(f"path is {path!r:.60} and sha256 {sha256!r:.20}")
    return DeviceFile(path, read.whole("bytes", most=MOST_BYTES), sha256)


def _items(read: Fields, files: Collection[str]) -> DeviceItems:
    columns = read.value("columns", dict)
    for name, kind in columns.items():
        if kind not in COLUMN_KINDS:
            raise read.refused(f"column {name!r:.40} is of the kind {kind!r:.40}")
    count = read.whole("count", most=MOST_ROWS)
    return DeviceItems(read.one_of("file", files), count, columns, read.share("traffic"), read.share("reach"))


def _table(read: Fields, files: Collection[str], rows: int) -> DeviceTable:
    if read.whole("rows") != rows:
        raise read.refused(f"it has {read.whole('rows')} rows for {rows - 1} items and the unknown one")
    dim = read.whole("dim", least=1, most=MOST_COLUMNS)
    return DeviceTable(read.one_of("file", files), read.one_of("encoding", ENCODINGS), rows, dim)


def _input(read: Fields, tables: Collection[str]) -> DeviceInput:
    name, kind = read.text("name"), read.one_of("kind", get_args(InputKind))
    if kind in ("history", "history_times"):
        table = read.one_of("table", tables) if kind == "history" else None
        return DeviceInput(name, kind, table=table, length=read.whole("length", least=1))
    values = tuple(read.value("values", list)) if kind == "category" else None
    if values is not None and not all(type(each) in (str, int) for each in values):
        raise read.refused("values holds what is neither text nor integer")
    now = read.flag("now") if "now" in read.content else False
    return DeviceInput(name, kind, column=read.text("column"), values=values, now=now)


def _retriever(
    read: Fields, files: Collection[str], tables: Collection[str], inputs: Collection[str]
) -> DeviceRetriever:
    kinds: tuple[Literal["nearest", "popular"], ...] = ("nearest", "popular")
    kind = read.one_of("kind", kinds)
    rest = (kind, read.text("name"), read.whole("k", least=1), read.one_of("table", tables))
    if kind == "popular":
        return DeviceRetriever(*rest)
    return DeviceRetriever(*rest, model=read.one_of("model", files), inputs=read.names("inputs", inputs))


def _ranker(
    read: Fields,
    files: Collection[str],
    tables: Collection[str],
    inputs: Collection[str],
    retrievers: Collection[str],
) -> DeviceRanker:
    return DeviceRanker(
        model=read.one_of("model", files),
        keep=read.whole("keep", least=1),
        inputs=read.names("inputs", inputs),
        table=None if read.is_null("table") else read.one_of("table", tables),
        scores=read.names("scores", retrievers),
        calibrated=read.flag("calibrated"),
    )


def _stage(read: Fields, tables: Collection[str]) -> dict[str, Any]:
    read.one_of("kind", STAGE_KINDS)
    if read.content.get("table") is not None:
        read.one_of("table", tables)
    return read.content


class Fields:
    """Takes typed values out of parsed JSON.

    Args:
        content: an object.
        path: where it stands in the manifest.
        where: the file, for messages.

    Raises:
        BundleError: it is no object.
    """

    def __init__(self, content: Any, path: str, where: str) -> None:
        self.path, self.where = path, where
        if not isinstance(content, dict):
            raise self.refused(f"an object is needed, not {content!r:.40}")
        self.content: dict[str, Any] = content

    def value(self, name: str, kind: type[T]) -> T:
        """A value of exactly this type."""
        found = self.content.get(name)
        if type(found) is not kind:
            raise self.refused(f"{name} is {found!r:.40}, not of type {kind.__name__}")
        return found

    def text(self, name: str) -> str:
        """A text."""
        return self.value(name, str)

    def flag(self, name: str) -> bool:
        """True or false."""
        return self.value(name, bool)

    def whole(self, name: str, *, least: int = 0, most: int = 1 << 53) -> int:
        """A whole number within bounds."""
        found = self.value(name, int)
        if not least <= found <= most:
            raise self.refused(f"{name} is {found}, outside {least}..{most}")
        return found

    def share(self, name: str) -> float | None:
        """A number from 0 to 1, or null."""
        found = self.content.get(name)
        if found is None:
            return None
        if type(found) not in (int, float) or not math.isfinite(found) or not 0 <= found <= 1:
            raise self.refused(f"{name} is {found!r:.40}, not a share from 0 to 1")
        return float(found)

    def one_of(self, name: str, choices: Collection[T]) -> T:
        """A text that must be one of some."""
        found: Any = self.content.get(name)
        if not isinstance(found, str) or found not in choices:
            raise self.refused(f"{name} is {found!r:.40}, which this shortlist doesn't know or has not got")
        return found  # type: ignore[return-value]  # it is one of the choices

    def names(self, name: str, choices: Collection[str]) -> tuple[str, ...]:
        """A list of texts, each one of some."""
        found = self.value(name, list)
        for each in found:
            if not isinstance(each, str) or each not in choices:
                raise self.refused(f"{name} names {each!r:.40}, which is not there")
        return tuple(found)

    def is_null(self, name: str) -> bool:
        """Whether a field is there and null."""
        return self.content.get(name, ...) is None

    def fields(self, name: str) -> Fields:
        """An object within."""
        return Fields(self.content.get(name), self._below(name), self.where)

    def several(self, name: str) -> Iterator[Fields]:
        """The objects of a list."""
        for number, each in enumerate(self.value(name, list)):
            yield Fields(each, self._below(f"{name}[{number}]"), self.where)

    def table_of(self, name: str, parse: Callable[[Fields], T]) -> dict[str, T]:
        """The objects within an object, by name."""
        within = self.fields(name)
        return {each: parse(within.fields(each)) for each in within.content}

    def refused(self, what: str) -> BundleError:
        """The error to raise."""
        place = f"{self.path}: " if self.path else ""
        return BundleError(f"not a device export: {place}{what}", where=self.where, remedy=AGAIN)

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name
