"""The exact index on disk."""

from __future__ import annotations

from pathlib import Path

from shortlist.data.arrow_files import read_arrow
from shortlist.errors import BundleError
from shortlist.index.inputs import Metric, as_ids, check_metric
from shortlist.index.roster import Roster
from shortlist.index.sections import (
    MISFITS,
    Sections,
    arrow_bytes,
    read_sections,
    refused,
    write_sections,
)
from shortlist.index.snapshot import Snapshot
from shortlist.kernels import Codes, Segment

KIND = "exact"


def write_index(path: Path, snapshot: Snapshot, *, dim: int, metric: Metric) -> None:
    """Write a snapshot of at most one segment, whole or not at all."""
    sections = roster_sections(snapshot.roster)
    for segment in snapshot.segments:
        sections["vectors"] = segment.vectors
        if segment.codes is not None:
            codes = segment.codes
            sections |= {"codes": codes.codes, "stats": codes.stats, "order": codes.order}
    header = {"kind": KIND, "dim": dim, "metric": metric, "items": len(snapshot.roster.ids)}
    write_sections(path, header, sections, threads=snapshot.threads)


def read_index(path: Path, *, threads: int | None) -> tuple[Snapshot, int, Metric]:
    """Map a file and check every byte of it.

    Returns:
        The snapshot, the width of the vectors and the metric.

    Raises:
        BundleError: the file is damaged, foreign or from a newer version.
    """
    header, sections = read_sections(path, threads=threads)
    try:
        check_kind(path, header["kind"], KIND, "BruteForce")
        dim, count = int(header["dim"]), int(header["items"])
        roster = read_roster(sections, count)
        segments: tuple[Segment, ...] = ()
        if count:
            vectors = sections["vectors"]
            if vectors.shape != (count, dim):
                raise ValueError(f"vectors of shape {list(vectors.shape)} instead of {[count, dim]}")
            codes = Codes(sections["codes"], sections["stats"], sections["order"])
            segments = (Segment(vectors, codes),)
        return Snapshot(roster, segments, threads), dim, check_metric(header["metric"])
    except MISFITS as error:
        raise unfit(path, error) from error


def roster_sections(roster: Roster) -> Sections:
    """The sections that hold a roster without gaps."""
    sections: Sections = {"ids": arrow_bytes(roster.ids.to_frame("id"))}
    if roster.items is not None:
        sections["items"] = arrow_bytes(roster.items)
    return sections


def read_roster(sections: Sections, count: int) -> Roster:
    """The roster that `roster_sections` wrote.

    Raises:
        ValueError: it has another number of items than `count`.
    """
    ids = as_ids(read_arrow(sections["ids"].tobytes())["id"])
    items = read_arrow(sections["items"].tobytes()) if "items" in sections else None
    if len(ids) != count or (items is not None and len(items) != count):
        raise ValueError("the tables have another number of items than the header")
    return Roster.of(ids, items)


def check_kind(path: Path, kind: str, wanted: str, reader: str) -> None:
    """Refuse a file of another kind of index."""
    if kind != wanted:
        raise BundleError(
            f"holds an index of kind {kind!r}, {reader} reads {wanted!r}",
            where=str(path),
            remedy="load it with the class that saved it",
        )


def unfit(path: Path, error: Exception) -> BundleError:
    """The error for a file whose parts are whole but make no index together."""
    if isinstance(error, BundleError):
        return error if error.where else refused(path, error.what)
    return refused(path, f"its parts do not fit together: {error}")
