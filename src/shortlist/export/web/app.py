"""A folder that any server of files can serve: the page, ONNX Runtime Web, and the export itself."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.resources import as_file, files
from pathlib import Path

from shortlist.data.sealed_folder import appearing
from shortlist.errors import ConfigError
from shortlist.export.manifest import MANIFEST, DeviceManifest
from shortlist.export.web.onnx_runtime import runtime_files

# What the service worker begins with, from which a folder is known as one that may be replaced.
RELEASE = "const RELEASE = "
WORKER = "sw.js"
PARTS = ("page", "compiled")  # what is written by hand, and what `npm run build` in web/ makes


def write_app(model: str | Path, out: str | Path, *, runtime: str | Path | None = None) -> None:
    """Put the page around an export, whole or not at all.

    Args:
        model: the folder of an export for devices.
        out: the folder to write; an app that is there is replaced.
        runtime: the npm package `onnxruntime-web` as a tarball or a folder; by default it is fetched from the
            npm registry once and kept in the cache folder.

    Raises:
        BundleError: the export is missing, damaged or newer.
        ConfigError: something else stands at `out`, or it cannot be written.
        DataError: ONNX Runtime Web cannot be fetched, or is not the version that the page was built for.
    """
    source, target = Path(model), Path(out)
    refuse_other(target)
    manifest = DeviceManifest.read(source)
    contents = {f"model/{each.path}": each.read(source) for each in manifest.files.values()}
    contents[f"model/{MANIFEST}"] = (source / MANIFEST).read_bytes()
    contents |= runtime_files(runtime)
    with appearing(target) as folder, as_file(files(__package__)) as package:
        for part in PARTS:
            shutil.copytree(package / part, folder, dirs_exist_ok=True)
        for name, content in contents.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        _name_release(folder)


def _name_release(folder: Path) -> None:
    """Tell the service worker which files there are; it is another worker whenever one of them is another."""
    paths = sorted(each for each in folder.rglob("*") if each.is_file() and each.name != WORKER)
    digests = {
        each.relative_to(folder).as_posix(): hashlib.sha256(each.read_bytes()).hexdigest() for each in paths
    }
    version = hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:16]
    release = json.dumps({"version": version, "files": digests}, indent=1)
    worker = folder / WORKER
    worker.write_text(f"{RELEASE}{release};\n{worker.read_text(encoding='utf-8')}", encoding="utf-8")


def refuse_other(target: Path) -> None:
    """Refuse a place where an app would replace something else.

    Args:
        target: where it is to be written.

    Raises:
        ConfigError: something stands there that is no app.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    try:
        is_ours = (target / WORKER).read_text(encoding="utf-8").startswith(RELEASE)
    except (OSError, ValueError):
        is_ours = False
    if not is_ours:
        raise ConfigError(
            f"{str(target)!r} exists and is no app that shortlist wrote",
            remedy="choose another path, or remove it yourself",
        )
