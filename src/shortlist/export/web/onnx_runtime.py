"""ONNX Runtime Web, which the page computes with: taken from its npm package, verified, and kept."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from shortlist.errors import DataError

VERSION = "1.30.0"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SIZE = 33_106_585
SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
MODULE, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
# The smallest build that has the processor's operators; the others add WebGPU and WebNN.
SHA256 = {
    MODULE: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
# Many servers of files do not know .mjs, and would pack or unpack what ends in .gz on their own.
PLACES = {MODULE: "ort/ort.wasm.bundle.min.js", WASM: f"ort/{WASM}.gzip"}
BY_HAND = f"fetch it elsewhere with `npm pack onnxruntime-web@{VERSION}` and give the file with --runtime"
PATIENCE = 600  # seconds for npm


def runtime_files(source: str | Path | None = None) -> dict[str, bytes]:
    """The files of ONNX Runtime Web by their place in the app; the WebAssembly is packed, to a quarter.

    Args:
        source: the npm package as a tarball or a folder; None for the cache folder, which is filled from the
            npm registry once.

    Raises:
        DataError: it cannot be fetched, a file is missing, or one is not of the version that is needed.
    """
    found = _cached() if source is None else _given(Path(source))
    return {PLACES[MODULE]: found[MODULE], PLACES[WASM]: _packed(found[WASM])}


@lru_cache(maxsize=1)
def _packed(content: bytes) -> bytes:
    """Packed with gzip, which takes seconds, once a process; the same content gives the same bytes."""
    return gzip.compress(content, 6, mtime=0)


def _given(source: Path) -> dict[str, bytes]:
    if not source.is_dir():
        return _from_tarball(source)
    inside = source / "dist" if (source / "dist").is_dir() else source
    return _verified(lambda name: (inside / name).read_bytes(), source)


def _cached() -> dict[str, bytes]:
    from shortlist.datasets.download import cache_folder

    folder = cache_folder() / f"onnxruntime-web-{VERSION}"
    if folder.is_dir():
        return _given(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        found = _from_tarball(_fetch(Path(temporary)))
        kept = Path(temporary) / folder.name
        kept.mkdir()
        for name, content in found.items():
            (kept / name).write_bytes(content)
        if not folder.is_dir():  # another process may have been faster
            kept.replace(folder)
    return found


def _fetch(folder: Path) -> Path:
    """The tarball: from the registry, or by npm where that alone may reach it."""
    from shortlist.datasets.download import download

    try:
        return download(URL, folder / "package.tgz", size=SIZE, digest=f"sha512:{SHA512}")
    except DataError as error:
        packed = _npm_pack(folder)
        if packed is not None:
            return packed
        what = f"ONNX Runtime Web {VERSION} cannot be fetched: {error.what}"
        raise DataError(what, where=URL, remedy=f"check the network, or {BY_HAND}") from error


def _npm_pack(folder: Path) -> Path | None:
    npm = shutil.which("npm")
    if npm is None:
        return None
    command = [npm, "pack", f"onnxruntime-web@{VERSION}", "--silent", "--pack-destination", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=PATIENCE)
    except (subprocess.SubprocessError, OSError):
        return None
    packed = folder / f"onnxruntime-web-{VERSION}.tgz"
    return packed if packed.is_file() else None


def _from_tarball(file: Path) -> dict[str, bytes]:
    try:
        with tarfile.open(file) as package:

            def read(name: str) -> bytes:
                member = package.extractfile(f"package/dist/{name}")
                if member is None:
                    raise KeyError(name)
                return member.read()

            return _verified(read, file)
    except (OSError, tarfile.TarError) as error:
        raise DataError(
            f"the package cannot be read: {error}", where=str(file), remedy=f"give another one, or {BY_HAND}"
        ) from error


def _verified(read: Callable[[str], bytes], source: Path) -> dict[str, bytes]:
    found = {}
    for name, digest in SHA256.items():
        try:
            found[name] = read(name)
        except (OSError, KeyError) as error:
            raise DataError(
                f"there is no file {name}", where=str(source), remedy=f"give the package, or {BY_HAND}"
            ) from error
        if hashlib.sha256(found[name]).hexdigest() != digest:
            raise DataError(
                f"{name} is not that of onnxruntime-web {VERSION}",
                where=str(source),
                remedy=f"give that version, or {BY_HAND}",
            )
    return found
