"""What `funnel.json` of a bundle may say; read from strangers, so nothing is taken on trust."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from shortlist.errors import BundleError
from shortlist.postrank import PostRanker, from_dict

AGAIN = "save the bundle again"


@dataclass(frozen=True)
class RetrieverDescription:
    """One retriever.

    Args:
        kind: `"Nearest"` or `"Popular"`.
        model: the folder of its model.
        k: how many candidates it finds.
        name: its name.
        half_life: of a `Popular`.
        recall: of a `Nearest`.
        index: the file of its approximate index, or None where there is none.
        found: the share of the exact candidates that the index was measured to find.
    """

    kind: str
    model: str
    k: int
    name: str
    half_life: str | None
    recall: float
    index: str | None
    found: float


@dataclass(frozen=True)
class FunnelDescription:
    """All stages.

    Args:
        retrieve: the retrievers.
        ranker: the folder of the ranker's model, or None.
        keep: how many candidates the ranker lets through.
        calibration: the file of the calibration of its scores, or None.
        postrank: the post-rankers.
        size: length of the lists.
        seed: of the post-rankers that explore.
    """

    retrieve: tuple[RetrieverDescription, ...]
    ranker: str | None
    keep: int
    calibration: str | None
    postrank: tuple[PostRanker, ...]
    size: int
    seed: int

    @classmethod
    def parse(cls, described: Any, *, files: Collection[str], where: str) -> FunnelDescription:
        """Check the content of `funnel.json`.

        Args:
            described: what the JSON held.
            files: the names of the bundle's files, as the manifest lists them.
            where: the file's path, for messages.

        Raises:
            BundleError: something is missing, of the wrong type, or a file that is not there.
            ConfigError: a setting of a post-ranker is out of range.
        """
        read = _Reader(described, files, where)
        rank = read.optional("rank")
        return cls(
            retrieve=tuple(_retriever(each) for each in read.several("retrieve")),
            ranker=None if rank is None else rank.model("model"),
            keep=1 if rank is None else rank.value("keep", int),
            calibration=None if rank is None else rank.optional_file("calibration"),
            postrank=tuple(from_dict(each.fields) for each in read.several("postrank")),
            size=read.value("size", int),
            seed=read.value("seed", int),
        )


def _retriever(read: _Reader) -> RetrieverDescription:
    kind = read.value("kind", str)
    if kind not in ("Nearest", "Popular"):
        raise read.refused(f"the kind {kind!r} of a retriever is unknown")
    half_life = read.fields.get("half_life")
    if half_life is not None and not isinstance(half_life, str):
        raise read.refused(f"half_life is {half_life!r}")
    name = read.value("name", str)
    recall = read.value("recall", float) if kind == "Nearest" else 1.0
    index = read.optional("index") if kind == "Nearest" and "index" in read.fields else None
    return RetrieverDescription(
        kind,
        read.model("model"),
        read.value("k", int),
        name,
        half_life,
        recall,
        index=None if index is None else index.file("file"),
        found=0.0 if index is None else index.value("found", float),
    )


class _Reader:
    """Takes typed values out of parsed JSON."""

    def __init__(self, fields: Any, files: Collection[str], where: str) -> None:
        self.files, self.where = files, where
        if not isinstance(fields, dict):
            raise self.refused(f"an object is needed, not {fields!r:.60}")
        self.fields: Mapping[str, Any] = fields

    def value(self, name: str, kind: type[Any]) -> Any:
        found = self.fields.get(name)
        if type(found) is not kind:
            raise self.refused(f"{name} is {found!r:.60}, not of type {kind.__name__}")
        return found

    def several(self, name: str) -> list[_Reader]:
        return [_Reader(each, self.files, self.where) for each in self.value(name, list)]

    def optional(self, name: str) -> _Reader | None:
        if self.fields.get(name, ...) is None:
            return None
        return _Reader(self.fields.get(name), self.files, self.where)

    def model(self, name: str) -> str:
        folder: str = self.value(name, str)
        if f"{folder}/model.json" not in self.files:
            raise self.refused(f"the bundle has no model {folder!r}")
        return folder

    def optional_file(self, name: str) -> str | None:
        return self.file(name) if name in self.fields else None

    def file(self, name: str) -> str:
        file: str = self.value(name, str)
        if file not in self.files:
            raise self.refused(f"the bundle has no file {file!r}")
        return file

    def refused(self, what: str) -> BundleError:
        return BundleError(f"not a funnel: {what}", where=self.where, remedy=AGAIN)
