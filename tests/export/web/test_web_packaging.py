"""The app's folder: whole or absent, complete, and with the ONNX Runtime Web that it was built for."""

from __future__ import annotations

import base64
import hashlib
import json
import tarfile
from pathlib import Path

import pytest
from export.web.web_cases import PACKAGE, REPOSITORY, cinema, save_app

from shortlist.errors import BundleError, ConfigError, DataError
from shortlist.export.web import onnx_runtime, write_app


def release(app: Path) -> dict[str, str]:
    worker = (app / "sw.js").read_text(encoding="utf-8")
    content = worker.removeprefix("const RELEASE = ").partition(";\n")[0]
    return json.loads(content)["files"]


def test_the_service_worker_knows_every_file_and_its_checksum(tmp_path: Path):
    app = save_app(cinema(), tmp_path)
    there = {file.relative_to(app).as_posix(): file for file in app.rglob("*") if file.is_file()}
    worker = there.pop("sw.js")
    assert worker.is_file()
    assert release(app) == {
        name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in there.items()
    }
    assert {
        "index.html",
        "manifest.webmanifest",
        "app/main.js",
        "device/index.js",
        "model/manifest.json",
    } <= set(there)


def test_an_app_is_replaced_and_anything_else_is_not(tmp_path: Path):
    app = save_app(cinema(), tmp_path)
    first = release(app)
    write_app(cinema(seed=2).write(tmp_path / "newer"), app, runtime=PACKAGE if PACKAGE.is_dir() else None)
    changed = {name for name, digest in release(app).items() if first.get(name) != digest}
    assert changed
    assert all(name.startswith("model/") for name in changed)
    other = tmp_path / "other"
    other.mkdir()
    (other / "diary.txt").write_text("mine")
    with pytest.raises(ConfigError, match="exists and is no app that shortlist wrote"):
        write_app(tmp_path / "newer", other)
    assert (other / "diary.txt").read_text() == "mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["app", "model", "newer", "other"]


def test_a_damaged_export_is_not_wrapped(tmp_path: Path):
    model = cinema().write(tmp_path / "model")
    next((model / "files").iterdir()).write_bytes(b"")
    with pytest.raises(BundleError, match="bytes"):
        write_app(model, tmp_path / "app", runtime=tmp_path)
    assert not (tmp_path / "app").exists()


def test_another_runtime_is_refused_with_what_to_do(tmp_path: Path):
    model = cinema().write(tmp_path / "model")
    folder = tmp_path / "package" / "dist"
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match=r"there is no file ort\.wasm.*npm pack onnxruntime-web@"):
        write_app(model, tmp_path / "app", runtime=folder.parent)
    for name in onnx_runtime.SHA256:
        (folder / name).write_bytes(b"another")
    with pytest.raises(DataError, match="is not that of onnxruntime-web"):
        write_app(model, tmp_path / "app", runtime=folder.parent)
    packed = tmp_path / "package.tgz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(folder, "package/dist")
    with pytest.raises(DataError, match="is not that of onnxruntime-web"):
        write_app(model, tmp_path / "app", runtime=packed)
    packed.write_bytes(b"no archive")
    with pytest.raises(DataError, match="the package cannot be read"):
        write_app(model, tmp_path / "app", runtime=packed)
    assert not (tmp_path / "app").exists()


def test_a_runtime_that_cannot_be_fetched_is_said_and_how_to_bring_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))  # where there is no npm either
    monkeypatch.setattr(onnx_runtime, "URL", "http://127.0.0.1:9/package.tgz")
    with pytest.raises(DataError, match=r"cannot be fetched: .*--runtime"):
        onnx_runtime.runtime_files()
    assert list((tmp_path / "cache" / "shortlist").iterdir()) == []


def test_the_version_is_the_one_that_the_page_is_compiled_against():
    lock = json.loads((REPOSITORY / "web" / "package-lock.json").read_text())
    pinned = lock["packages"]["node_modules/onnxruntime-web"]
    digest = base64.b64encode(bytes.fromhex(onnx_runtime.SHA512)).decode()
    assert (pinned["version"], pinned["integrity"]) == (onnx_runtime.VERSION, f"sha512-{digest}")
