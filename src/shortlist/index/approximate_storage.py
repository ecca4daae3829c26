"""The approximate index on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shortlist.index.effort import EffortCurve
from shortlist.index.inputs import Metric, check_metric
from shortlist.index.leaf_state import LeafState, Settings
from shortlist.index.sections import Sections, read_sections, write_sections
from shortlist.index.storage import check_kind, read_roster, roster_sections, unfit
from shortlist.kernels import Leaves, Part, RowCodes, all_places

KIND = "leaves"


def write_approximate(path: Path, state: LeafState, *, dim: int, metric: Metric, recall: float) -> None:
    """Write a state without fresh parts or gaps, whole or not at all."""
    base, settings = state.base, state.settings
    sections = roster_sections(state.roster)
    sections |= {"order": base.rows.order, "codes": base.rows.codes, "scale": base.rows.scale}
    if base.rows.bias is not None:
        sections["bias"] = base.rows.bias
    if base.vectors is not None:
        sections["vectors"] = base.vectors
    if base.leaves is not None:
        leaves = base.leaves
        sections |= {"begins": leaves.begins, "centroids": leaves.centroids, "spreads": leaves.spreads}
        sections["floors"] = leaves.floors
    header = {
        "kind": KIND,
        "dim": dim,
        "metric": metric,
        "items": base.count,
        "recall": recall,
        "compact": settings.compact,
        "seed": settings.seed,
        "since_training": state.since_training,
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
        metric = check_metric(header["metric"])
        settings = Settings(
            "l2" if metric == "l2" else "dot",
            metric == "dot",
            bool(header["compact"]),
            int(header["seed"]),
            threads,
        )
        base = _part(sections, int(header["items"]), int(header["dim"]), settings)
        curve = None if header["curve"] is None else EffortCurve.from_json(header["curve"])
        if (curve is None) != (base.leaves is None):
            raise ValueError("leaves without a curve of efforts, or the reverse")
        roster = read_roster(sections, base.count)
        since = int(header["since_training"])
        return LeafState(settings, roster, base, since_training=since, curve=curve), header
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise unfit(path, error) from error


def _part(sections: Sections, count: int, dim: int, settings: Settings) -> Part:
    rows = RowCodes(sections["order"], sections["codes"], sections["scale"], sections.get("bias"))
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
        floors = sections["floors"]
        if floors.shape != spreads.shape:
            raise ValueError("a tier's floor is missing for some leaves")
        leaves = Leaves(sections["begins"], centroids, spreads, floors, settings.metric)
    allowed = all_places(rows.order)
    part = Part(vectors, count, dim, None, rows, leaves, allowed)
    if int(np.bitwise_count(allowed).sum()) != count:
        raise ValueError("the codes have another number of vectors than the header")
    if count:
        part.native  # noqa: B018 — checks how the arrays fit together
    return part
