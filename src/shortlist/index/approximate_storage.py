"""The approximate index on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from shortlist.index.effort import EffortCurve
from shortlist.index.inputs import Metric, check_metric
from shortlist.index.leaf_state import LeafState, Settings
from shortlist.index.sections import MISFITS, Sections, read_sections, write_sections
from shortlist.index.storage import check_kind, read_roster, roster_sections, unfit
from shortlist.kernels.leaf_codes import MAX_DIM, NO_ROW, Frame, RowCodes, all_places
from shortlist.kernels.leaves import Leaves, Part

KIND = "leaves"


def write_approximate(path: Path, state: LeafState, *, dim: int, metric: Metric, recall: float) -> None:
    """Write a state without fresh parts or gaps, whole or not at all."""
    base, settings = state.base, state.settings
    sections = roster_sections(state.roster)
    rows = base.rows
    sections |= {"origin": rows.frame.origin, "order": rows.order, "codes": rows.codes, "scale": rows.scale}
    if rows.frame.mirrors is not None:
        sections["mirrors"] = rows.frame.mirrors
    if rows.rest is not None:
        sections["rest"] = rows.rest
    if rows.bias is not None:
        sections["bias"] = rows.bias
    if base.vectors is not None:
        sections["vectors"] = base.vectors
    if base.leaves is not None:
        leaves = base.leaves
        sections |= {"begins": leaves.begins, "centroids": leaves.centroids, "spreads": leaves.spreads}
        sections["floors"] = leaves.floors
        if leaves.rest_spreads is not None:
            sections["rest_spreads"] = leaves.rest_spreads
    header = {
        "kind": KIND,
        "dim": dim,
        "metric": metric,
        "items": base.count,
        "recall": recall,
        "compact": settings.compact,
        "seed": settings.seed,
        "since_training": state.since_training,
        "reach": None if base.leaves is None else base.leaves.reach,
        "slack": None if base.leaves is None else base.leaves.slack,
        "curve": None if state.curve is None else state.curve.to_json(),
    }
    write_sections(path, header, sections, threads=settings.threads)


def read_approximate(path: Path, *, threads: int | None) -> tuple[LeafState, dict[str, Any]]:
    """Map a file and check every byte of it.

    Returns:
        The state, and the file's header.

    Raises:
        BundleError: the file is damaged, foreign or from a newer version.
    """
    header, sections = read_sections(path, threads=threads)
    try:
        check_kind(path, header["kind"], KIND, "Approximate")
        _check_header(header)
        metric = check_metric(header["metric"])
        settings = Settings(
            "l2" if metric == "l2" else "dot",
            metric == "dot",
            bool(header["compact"]),
            int(header["seed"]),
            threads,
        )
        base = _part(sections, header, settings)
        curve = None if header["curve"] is None else EffortCurve.from_json(header["curve"])
        if (curve is None) != (base.leaves is None):
            raise ValueError("leaves without a curve of efforts, or the reverse")
        roster = read_roster(sections, base.count)
        since = int(header["since_training"])
        return LeafState(settings, roster, base, since_training=since, curve=curve), header
    except MISFITS as error:
        raise unfit(path, error) from error


def _part(sections: Sections, header: dict[str, Any], settings: Settings) -> Part:
    count, dim = int(header["items"]), int(header["dim"])
    frame = Frame(sections["origin"], sections.get("mirrors"))
    rows = RowCodes(
        frame,
        sections["order"],
        sections["codes"],
        sections.get("rest"),
        sections["scale"],
        sections.get("bias"),
    )
    _check_rows(rows, count)
    if (rows.bias is None) == (settings.metric == "l2"):
        raise ValueError("distances need a bias, inner products have none")
    vectors = sections.get("vectors")
    if (vectors is None) != settings.compact:
        raise ValueError("a compact index has no vectors, another has some")
    leaves = None
    if "begins" in sections:
        centroids, spreads = sections["centroids"], sections["spreads"]
        if centroids.shape != (len(spreads), dim):
            raise ValueError(f"centroids of shape {list(centroids.shape)} instead of {[len(spreads), dim]}")
        leaves = Leaves(
            sections["begins"],
            centroids,
            spreads,
            sections["floors"],
            frame,
            settings.metric,
            sections.get("rest_spreads"),
            float(header["reach"]),
            float(header["slack"]),
        )
        _check_leaves(leaves)
    part = Part(vectors, count, dim, None, rows, leaves, all_places(rows.order))
    if count:
        part.native  # noqa: B018 — checks how the arrays fit together
    return part


def _check_header(header: dict[str, Any]) -> None:
    if not 1 <= int(header["dim"]) <= MAX_DIM:
        raise ValueError(f"dim is {header['dim']}")
    if not 0 < float(header["recall"]) <= 1:
        raise ValueError(f"recall is {header['recall']}")
    if int(header["items"]) < 0 or int(header["since_training"]) < 0:
        raise ValueError("a negative number of items")
    if not 0 <= int(header["seed"]) < 2**63:
        raise ValueError(f"seed is {header['seed']}")


def _check_rows(rows: RowCodes, count: int) -> None:
    """Refuse codes that a search could trip over; the rows' own values may be anything."""
    there = rows.order != NO_ROW
    if np.count_nonzero(there) != count:
        raise ValueError("the codes have another number of vectors than the header")
    seen = np.zeros(count + 1, np.bool_)
    seen[np.minimum(rows.order, np.uint32(count))] = True  # the last stands for nobody
    if not seen[:-1].all():
        raise ValueError("some vector has no place, another has two")
    positive = (rows.scale > 0) & (rows.scale < np.inf)
    if not (positive == there).all() or not (np.isnan(rows.scale) != there).all():
        raise ValueError("a scale is not a positive number, or one is where no vector lies")
    _check_frame(rows.frame)
    if rows.bias is not None and not np.isfinite(rows.bias).all():
        raise ValueError("a bias is not a number")


def _check_frame(frame: Frame) -> None:
    if not np.isfinite(frame.origin).all():
        raise ValueError("the origin is not a number")
    if frame.mirrors is None:
        return
    if frame.mirrors.dtype != np.float32 or frame.mirrors.ndim != 2:
        raise ValueError("the mirrors are no matrix of float32")
    lengths = np.einsum("ij,ij->i", frame.mirrors, frame.mirrors, dtype=np.float64)
    if not (np.isclose(lengths, 2, atol=1e-3) | (lengths == 0)).all():
        raise ValueError("a mirror is not as long as the root of 2")


def _check_leaves(leaves: Leaves) -> None:
    floors = leaves.floors
    if floors.shape != leaves.spreads.shape or floors.dtype != np.float32:
        raise ValueError("a tier's floor is missing for some leaves")
    # From the last tier's 0 upwards, so that every vector has its tier.
    if floors[-1] != 0 or not (np.diff(floors) <= 0).all() or not floors[0] < np.inf:
        raise ValueError("the tiers' floors do not descend to 0")
    if not 0 <= leaves.reach <= 1e6:
        raise ValueError(f"reach is {leaves.reach}")
    if not 0 <= leaves.slack <= 1e6:
        raise ValueError(f"slack is {leaves.slack}")
    rest_spreads = leaves.spreads if leaves.rest_spreads is None else leaves.rest_spreads
    for numbers in (leaves.centroids, leaves.spreads, rest_spreads):
        if not np.isfinite(numbers).all():
            raise ValueError("a centroid or spread is not a number")
