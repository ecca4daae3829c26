"""Fetch a file once: whole and verified, or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import IO

from shortlist.errors import DataError

# Seconds without an answer or a byte before giving up.
TIMEOUT = 10.0

CHUNK = 1 << 16


def cache_folder() -> Path:
    """Where downloads are kept: `$XDG_CACHE_HOME/shortlist`, by default `~/.cache/shortlist`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "shortlist"


def download(url: str, target: Path, *, size: int, digest: str, timeout: float = TIMEOUT) -> Path:
    """Download a file, with a progress bar on standard error.

    The bytes go to a temporary file beside the target, which is renamed once its size and digest are
    right; whatever interrupts that leaves nothing behind.

    Args:
        url: of the file.
        target: where to put it; its folder is made.
        size: in bytes.
        digest: the algorithm and the expected hexadecimal digest, such as `"sha256:50d2…"`.
        timeout: seconds to wait for a connection, and then for each next byte.

    Returns:
        The target.

    Raises:
        DataError: there is no connection, it breaks off, or the size or the digest is wrong.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", suffix=".part", delete=False
        ) as file:
            part = Path(file.name)
            try:
                _fetch(url, file.file, size, digest, timeout)
                file.close()
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise DataError(
            f"the download failed: {reason}", where=url, remedy="check the network, or fetch the file by hand"
        ) from error
    return target


def _fetch(url: str, file: IO[bytes], size: int, digest: str, timeout: float) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    algorithm, _, expected = digest.partition(":")
    checksum, received = hashlib.new(algorithm, usedforsecurity=False), 0
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with (
        urllib.request.urlopen(url, timeout=timeout) as answer,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task(url.rsplit("/", 1)[-1], total=size)
        while received <= size and (chunk := answer.read(CHUNK)):
            file.write(chunk)
            checksum.update(chunk)
            received += len(chunk)
            progress.advance(task, len(chunk))
    if received != size:
        wrong = f"more than {size:,}" if received > size else f"{received:,} of {size:,}"
        raise DataError(f"the download has {wrong} bytes", where=url, remedy="try again later")
    if checksum.hexdigest() != expected:
        raise DataError(
            f"the download's {algorithm} is {checksum.hexdigest()}, not {expected}",
            where=url,
            remedy="it is not the file that was published: try again, or fetch it by hand and compare",
        )


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack one folder of a zip archive, whole or not at all.

    Args:
        archive: the zip file; only members inside the folder of the same name are taken.
        folder: what to make; present when another process was faster.

    Returns:
        The folder.

    Raises:
        DataError: the archive is damaged or does not hold the folder.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        try:
            with zipfile.ZipFile(archive) as files:
                members = [name for name in files.namelist() if name.startswith(f"{folder.name}/")]
                files.extractall(temporary, members)
            (Path(temporary) / folder.name).replace(folder)
        except (zipfile.BadZipFile, OSError) as error:
            if not folder.is_dir():
                raise DataError(
                    f"the archive cannot be unpacked: {error}",
                    where=str(archive),
                    remedy="delete it and try again",
                ) from error
    return folder
