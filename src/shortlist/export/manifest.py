"""What `manifest.json` of a device export says: one description for its writer and its readers.

It needs neither PyTorch nor NumPy, so that a device's runtime can share it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from shortlist.errors import BundleError

FORMAT, KIND, MANIFEST = 1, "shortlist-device", "manifest.json"

Encoding = Literal["float32", "float16", "int8", "int4"]
ENCODINGS: tuple[Encoding, ...] = ("float32", "float16", "int8", "int4")  # the most precise first
Content = bytes  # DeviceFile has a field of that name
InputKind = Literal["history", "history_times", "category", "number", "timestamp"]
FETCH_AGAIN = "fetch the file again, or export the bundle again"


@dataclass(frozen=True)
class DeviceFile:
    """A file of an export, named by its content.

    Args:
        path: below the export's folder.
        bytes: its size.
        sha256: of its content, in hexadecimal digits.
    """

    path: str
    bytes: int
    sha256: str

    def read(self, folder: str | Path) -> Content:
        """The content, checked.

        Args:
            folder: the export's.

        Raises:
            BundleError: the file is missing, cut short or damaged.
        """
        file = Path(folder) / self.path
        try:
            with file.open("rb") as stream:
                content = stream.read(self.bytes + 1)
        except OSError as error:
            reason = error.strerror or "it cannot be read"
            raise BundleError(f"a file is missing: {reason}", where=str(file), remedy=FETCH_AGAIN) from error
        self.check(content, where=str(file))
        return content

    def check(self, content: Content, *, where: str) -> None:
        """Refuse another content.

        Args:
            content: what was read or fetched.
            where: from which file or address, for the message.

        Raises:
            BundleError: it is cut short, too long or damaged.
        """
        if len(content) < self.bytes:
            raise BundleError(
                f"the file has {len(content):,} bytes, not {self.bytes:,}", where=where, remedy=FETCH_AGAIN
            )
        if len(content) > self.bytes:
            raise BundleError(
                f"the file has more than its {self.bytes:,} bytes", where=where, remedy=FETCH_AGAIN
            )
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise BundleError("the file is damaged: its checksum differs", where=where, remedy=FETCH_AGAIN)


@dataclass(frozen=True)
class DeviceTable:
    """A table with one row a device item, row 0 that of the unknown item.

    Args:
        file: the name of its file in the manifest.
        encoding: how its numbers are stored.
        rows: how many, the unknown's counted.
        dim: numbers a row.
    """

    file: str
    encoding: Encoding
    rows: int
    dim: int


@dataclass(frozen=True)
class DeviceItems:
    """The item table.

    Args:
        file: the name of its file in the manifest.
        count: items, the unknown not counted.
        columns: what each column holds: `"text"`, `"tags"`, `"number"`, `"boolean"` or `"timestamp"`.
        traffic: the share of past events that were of these items, or None where nothing is known.
        reach: the share of past users with an event of at least one of them, or None.
    """

    file: str
    count: int
    columns: Mapping[str, str]
    traffic: float | None
    reach: float | None


@dataclass(frozen=True)
class DeviceInput:
    """What a model is fed beside candidates.

    Args:
        name: of the model's input.
        kind: `"history"`, rows of a table; `"history_times"`; or a `"category"`, `"number"` or `"timestamp"`.
        table: of a history.
        length: how many of the latest events a history shows.
        column: the key in the context of a category, a number or a timestamp.
        values: of a category; `values[i]` is fed as `i + 1`, any other as 0.
        now: whether a timestamp is the moment of the request.
    """

    name: str
    kind: InputKind
    table: str | None = None
    length: int | None = None
    column: str | None = None
    values: tuple[str | int, ...] | None = None
    now: bool = False


@dataclass(frozen=True)
class DeviceRetriever:
    """One way to find candidates.

    Args:
        kind: `"nearest"` or `"popular"`.
        name: of the retriever.
        k: how many candidates it finds.
        table: of the item vectors, or of the popularity.
        model: the file of the query model, of a `"nearest"`.
        inputs: names of what it is fed.
    """

    kind: Literal["nearest", "popular"]
    name: str
    k: int
    table: str
    model: str | None = None
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeviceRanker:
    """The ranker.

    Args:
        model: its file.
        keep: how many candidates it lets through.
        inputs: names of what it is fed once a request.
        table: of what it is fed of each candidate; None where it reads scores alone.
        scores: names of the retrievers whose scores it reads, in this order.
        calibrated: whether there is a second output, `"calibrated"`, for the stages after.
    """

    model: str
    keep: int
    inputs: tuple[str, ...]
    table: str | None
    scores: tuple[str, ...]
    calibrated: bool = False


@dataclass(frozen=True)
class DeviceManifest:
    """A whole export; the fields have the names of the JSON.

    Args:
        shortlist: the version that wrote it.
        source: SHA-256 of the manifest of the bundle that it was made of; empty for a funnel in memory.
        files: by name.
        tables: by name.
        items: the item table.
        inputs: of all models.
        retrieve: the retrievers.
        rank: the ranker, or None.
        postrank: the post-rankers: `kind` and settings, conditions replaced by tables.
        diversity_table: the item vectors that `Diversity` compares; None where there are none.
        size: length of a list.
        seed: of the post-rankers that explore.
        exclude_history: whether items of the history stay out.
    """

    shortlist: str
    source: str
    files: Mapping[str, DeviceFile]
    tables: Mapping[str, DeviceTable]
    items: DeviceItems
    inputs: tuple[DeviceInput, ...]
    retrieve: tuple[DeviceRetriever, ...]
    rank: DeviceRanker | None
    postrank: tuple[Mapping[str, Any], ...]
    diversity_table: str | None
    size: int
    seed: int
    exclude_history: bool = True

    @classmethod
    def read(cls, folder: str | Path) -> DeviceManifest:
        """Read and check the manifest of an export; its files are checked when they are read.

        Args:
            folder: the export's.

        Raises:
            BundleError: it is missing, newer, or not what it should be.
        """
        from shortlist.export.manifest_parser import parse_manifest  # it makes the parts that stand here

        file = Path(folder) / MANIFEST
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise BundleError(
                f"there is no {MANIFEST}", where=str(folder), remedy="give the folder of an export"
            ) from error
        except (ValueError, RecursionError) as error:
            raise BundleError(
                f"{MANIFEST} is no JSON", where=str(file), remedy="export the bundle again"
            ) from error
        return parse_manifest(content, where=str(file))

    def to_dict(self) -> dict[str, Any]:
        """What the JSON holds."""
        content = {"format": FORMAT, "kind": KIND, **asdict(self)}
        content["inputs"] = [_without_defaults(each, DeviceInput) for each in content["inputs"]]
        content["retrieve"] = [_without_defaults(each, DeviceRetriever) for each in content["retrieve"]]
        return content

    def write(self, folder: str | Path) -> None:
        """Write the JSON.

        Args:
            folder: the export's.
        """
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        (Path(folder) / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _without_defaults(fields: dict[str, Any], kind: type[Any]) -> dict[str, Any]:
    defaults = {name: each.default for name, each in kind.__dataclass_fields__.items()}
    return {name: value for name, value in fields.items() if value != defaults[name]}
