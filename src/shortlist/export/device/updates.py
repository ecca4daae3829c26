"""A newer export in the place of an older one: only what changed is fetched, applied whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shortlist.errors import BundleError, ConfigError
from shortlist.export.device.sources import fetcher
from shortlist.export.manifest import FETCH_AGAIN, MANIFEST, DeviceFile, DeviceManifest
from shortlist.export.manifest_parser import parse_manifest

# What a device could not hold is refused before it is fetched.
MANIFEST_BYTES, TOTAL_BYTES = 4 << 20, 2 << 30

Fetch = Callable[[str, int], bytes]


@dataclass(frozen=True)
class Fetched:
    """What an update brought.

    Args:
        files: how many files were fetched, the manifest not counted.
        bytes: of these files.
        kept: how many files were there already.
    """

    files: int
    bytes: int
    kept: int


def update(path: str | Path, source: str | Path) -> Fetched:
    """Bring an export up to date.

    Files are named by their content, so only those that are not there yet are fetched, each checked against
    the newer manifest. That takes its place by one rename at the very end, and files that it does not name
    are removed. Interrupted at any moment, the export is the old one or the new one; what an interrupted
    update has fetched is not fetched again.

    Args:
        path: the folder of the export.
        source: the folder of a newer one, or its address (http or https), such as
            `"https://example.org/model/"`.

    Returns:
        What was fetched.

    Raises:
        BundleError: the newer export is damaged, partial, foreign, from a newer version or cannot be reached,
            or there is no export at `path`; the older one stays as it is.
        ConfigError: the address is of another kind, or the folder cannot be written.
    """
    folder, name = Path(path), str(source).rstrip("/")
    DeviceManifest.read(folder)  # nothing but an export is replaced
    fetch = fetcher(source)
    content = fetch(MANIFEST, MANIFEST_BYTES)
    wanted = _files(content, f"{name}/{MANIFEST}")
    missing = [each for each in wanted if not _is_there(each, folder)]
    try:
        (folder / "files").mkdir(exist_ok=True)
        for each in missing:
            found = fetch(each.path, each.bytes)
            each.check(found, where=f"{name}/{each.path}")
            _write(folder / each.path, found)
        _write(folder / MANIFEST, content)
        _remove_others(folder / "files", {Path(each.path).name for each in wanted})
    except OSError as error:
        raise ConfigError(
            f"{str(folder)!r} cannot be written: {error.strerror}",
            remedy="free some space, or check the rights",
        ) from error
    return Fetched(len(missing), sum(each.bytes for each in missing), len(wanted) - len(missing))


def _files(content: bytes, where: str) -> list[DeviceFile]:
    """The files that a newer manifest names."""
    if len(content) > MANIFEST_BYTES:
        raise BundleError(f"it has more than {MANIFEST_BYTES:,} bytes", where=where, remedy=FETCH_AGAIN)
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError("the file is damaged: it is no JSON", where=where, remedy=FETCH_AGAIN) from error
    files = {each.path: each for each in parse_manifest(parsed, where=where).files.values()}
    if (total := sum(each.bytes for each in files.values())) > TOTAL_BYTES:
        raise BundleError(
            f"its files have {total:,} bytes, more than {TOTAL_BYTES:,}",
            where=where,
            remedy="export fewer items",
        )
    return list(files.values())


def _is_there(file: DeviceFile, folder: Path) -> bool:
    try:
        file.read(folder)
    except BundleError:
        return False
    return True


def _write(file: Path, content: bytes) -> None:
    """Write a file so that it is whole or as it was."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # or a power cut could lose the name
    finally:
        os.close(folder)


def _remove_others(folder: Path, names: set[str]) -> None:
    for file in folder.iterdir():
        if file.name not in names and file.is_file():
            file.unlink(missing_ok=True)
