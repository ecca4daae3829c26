"""A folder that is whole or absent: written aside, sealed with checksums, renamed into place."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shortlist.errors import BundleError, ConfigError

MANIFEST = "manifest.json"
AGAIN = "restore the file or save the folder again"


@contextmanager
def writing(path: str | Path, *, format: str, version: int, facts: Mapping[str, Any]) -> Iterator[Path]:
    """Write a folder so that a process killed at any moment leaves the old one or none, never half.

    Args:
        path: where the folder will be; a sealed folder of the same format that is there is replaced.
        format: what it holds, such as `"shortlist.bundle"`.
        version: of the format.
        facts: further entries of the manifest.

    Yields:
        A temporary folder to write files into.

    Raises:
        ConfigError: something that is no such folder stands at `path`, or it cannot be written.
    """
    refuse_foreign(Path(path), format)
    with appearing(path) as folder:
        yield folder
        _seal(folder, {"format": format, "version": version, **facts})


@contextmanager
def appearing(path: str | Path) -> Iterator[Path]:
    """Write a folder of any kind that stands at its path whole or not at all; see `writing`.

    Args:
        path: where the folder will be; what is there is replaced, so it must have been looked at before.

    Yields:
        A temporary folder to write files into.

    Raises:
        ConfigError: nothing can be written there.
    """
    target = Path(path)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
    except OSError as error:
        problem = f"{str(target)!r} cannot be written: {error.strerror}"
        raise ConfigError(problem, remedy="choose another path") from error
    try:
        yield unfinished
        for file in sorted(unfinished.rglob("*")):
            sync(file)
        sync(unfinished)
        _move_into_place(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def read_manifest(path: str | Path, *, format: str, version: int) -> dict[str, Any]:
    """Verify a sealed folder and read its manifest.

    Every file must be in the manifest, since what is not was never verified; hidden files, which file
    managers leave behind, are no part of it.

    Args:
        path: the folder.
        format: what it must hold.
        version: the newest version that is understood.

    Returns:
        The manifest.

    Raises:
        BundleError: it is missing, foreign, newer or damaged; the file is named.
    """
    folder = Path(path)
    file = folder / MANIFEST
    try:
        is_there = file.is_file()
    except OSError:  # a name that is too long, a folder that may not be looked into
        is_there = False
    if not is_there:
        raise BundleError(
            f"there is no {MANIFEST}", where=str(folder), remedy="give the folder that was saved"
        )
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        found, number, hashes = manifest["format"], int(manifest["version"]), dict(manifest["sha256"])
        intact = manifest["seal"] == _digest_of_manifest(manifest)
    except (ValueError, KeyError, TypeError, OSError, OverflowError, RecursionError) as error:
        raise BundleError(f"{MANIFEST} cannot be read", where=str(file), remedy=AGAIN) from error
    if found != format:
        raise BundleError(
            f"it holds {found!r}, not {format!r}", where=str(folder), remedy="give another folder"
        )
    if number > version:
        raise BundleError(
            f"it has version {number}, this shortlist reads up to {version}",
            where=str(folder),
            remedy="upgrade shortlist",
        )
    if not intact:
        raise BundleError(f"{MANIFEST} was changed", where=str(file), remedy=AGAIN)
    for name, digest in hashes.items():
        _verify(folder / name, digest)
    for name in _visible_files(folder):
        if name not in hashes:
            raise BundleError(
                "the file does not belong to the folder", where=str(folder / name), remedy="remove it"
            )
    return dict(manifest)


def _visible_files(folder: Path) -> list[str]:
    names = (each.relative_to(folder) for each in sorted(folder.rglob("*")) if each.is_file())
    visible = (name for name in names if not any(part.startswith(".") for part in name.parts))
    return [name.as_posix() for name in visible if name.as_posix() != MANIFEST]


def _verify(file: Path, digest: str) -> None:
    try:
        actual = _sha256(file)
    except (OSError, ValueError) as error:  # a forged name may hold a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise BundleError(f"the file cannot be read: {reason}", where=str(file), remedy=AGAIN) from error
    if actual != digest:
        raise BundleError(
            "the file is damaged: its checksum differs",
            where=str(file),
            remedy=AGAIN,
        )


def refuse_foreign(target: Path, format: str) -> None:
    """Refuse a place where writing would replace something else.

    Args:
        target: where a sealed folder is to be written.
        format: what it will hold.

    Raises:
        ConfigError: something stands there that is no such folder.
    """
    if not target.exists():
        return
    if target.is_dir() and not any(target.iterdir()):
        return
    try:
        found = json.loads((target / MANIFEST).read_text(encoding="utf-8"))["format"]
    except (OSError, ValueError, KeyError, TypeError):
        found = None
    if found != format:
        raise ConfigError(
            f"{str(target)!r} exists and was not written by shortlist as {format!r}",
            remedy="choose another path, or remove it yourself",
        )


def _seal(folder: Path, facts: dict[str, Any]) -> None:
    files = sorted(each for each in folder.rglob("*") if each.is_file())
    manifest = {**facts, "sha256": {each.relative_to(folder).as_posix(): _sha256(each) for each in files}}
    manifest["seal"] = _digest_of_manifest(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _move_into_place(folder: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    if target.exists():
        os.replace(target, old)
    os.replace(folder, target)
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _digest_of_manifest(manifest: Mapping[str, Any]) -> str:
    content = {key: value for key, value in manifest.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    # Without it, a power cut after the rename could leave a whole name over half a file.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
