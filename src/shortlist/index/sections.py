"""The file of an index: arrays that can be mapped into memory, each at its place and with its checksum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shortlist.data.section_files import MISFITS, FileKind, Sections, arrow_bytes
from shortlist.data.section_files import read_sections as read_file
from shortlist.data.section_files import write_sections as write_file
from shortlist.errors import BundleError

__all__ = [
    "FORMAT",
    "MAGIC",
    "MISFITS",
    "Sections",
    "arrow_bytes",
    "read_sections",
    "refused",
    "write_sections",
]

MAGIC = b"shortlist-index\n"
FORMAT = 3


def write_sections(path: Path, header: dict[str, Any], sections: Sections, *, threads: int | None) -> None:
    """Write the file of an index; see `shortlist.data.section_files.write_sections`."""
    write_file(path, header, sections, kind=_kind(), threads=threads)


def read_sections(path: Path, *, threads: int | None) -> tuple[dict[str, Any], Sections]:
    """Map the file of an index, every byte checked; see `shortlist.data.section_files.read_sections`."""
    return read_file(path, kind=_kind(), threads=threads)


def refused(path: Path, what: str) -> BundleError:
    """The error for a file that cannot be used."""
    return _kind().refused(path, what)


def _kind() -> FileKind:
    return FileKind(MAGIC, FORMAT, called="an index", again="save the index again")
