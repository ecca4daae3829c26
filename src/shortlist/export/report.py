"""What an export says of itself when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shortlist.export.manifest import DeviceManifest, Encoding
from shortlist.export.verify import StageCheck


@dataclass(frozen=True)
class ExportReport:
    """Sizes, encodings, and how the answers compare with the funnel's.

    Args:
        path: the folder that was written.
        manifest: what it holds.
        bytes: of all files, the manifest counted.
        checks: of each stage with the tables as they are stored; with float32 tables every stage's first
            twelve items were the funnel's.
        left_out: post-rankers that have no place on a device: what `Explore` learns would never leave it.
    """

    path: Path
    manifest: DeviceManifest
    bytes: int
    checks: tuple[StageCheck, ...]
    left_out: tuple[str, ...] = ()

    @property
    def encodings(self) -> Mapping[str, Encoding]:
        """The encoding of each table."""
        return {name: table.encoding for name, table in self.manifest.tables.items()}

    @property
    def overlap(self) -> float:
        """Of the stage that agrees least with the funnel's, the mean share of the first twelve items."""
        return min((each.overlap for each in self.checks), default=1.0)

    @property
    def recall_cost(self) -> float:
        """Of the retriever that loses most, how much less often the next item is among the first twelve."""
        return max(
            (
                each.recall_before - each.recall
                for each in self.checks
                if each.recall is not None and each.recall_before is not None
            ),
            default=0.0,
        )
