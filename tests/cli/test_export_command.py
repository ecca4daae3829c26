"""`shortlist export`."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.cli_cases import shortlist
from planted import parts

from shortlist.export import DeviceManifest
from shortlist.funnel import Funnel
from shortlist.funnel.retrieve import Nearest, Popular
from shortlist.models import Sequential


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    place = tmp_path_factory.mktemp("shop") / "bundle"
    model = Sequential(dim=8, length=6, num_blocks=1)
    model.fit(parts()[0], epochs=1, batch_size=32)
    Funnel(retrieve=[Nearest(model, 20), Popular(10)], size=6).save(place)
    return place


def test_it_writes_an_export_and_says_what_it_holds(bundle, tmp_path):
    answer = shortlist("export", bundle, tmp_path / "device", "--encoding", "int8")
    assert answer.code == 0, answer.err
    manifest = DeviceManifest.read(tmp_path / "device")
    assert manifest.tables["vectors"].encoding == "int8"
    for said in ("vectors", "int8", "top 12 as before", "sequential", "48 items", "100.0% of past events"):
        assert said in answer.out


def test_json_has_the_sizes_and_the_comparison(bundle, tmp_path):
    answer = shortlist("export", bundle, tmp_path / "device", "--items", 20, "--max-bytes", "1MB", "--json")
    document = answer.document
    assert document["items"] == 20
    assert document["bytes"] < 1_000_000
    assert document["overlap"] == 1
    assert 0 < document["traffic"] < 1
    assert set(document["files"]) == {"query.onnx", "items", "vectors", "popularity"}
    assert [each["stage"] for each in document["checks"]] == ["sequential"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--encoding", "int9"], "did you mean 'int8'"),
        (["--target", "onyx"], "did you mean 'onnx'"),
        (["--max-bytes", "much"], "'2MB'"),
        (["--max-bytes", "9"], "--items"),
        (["--runtime", "package.tgz"], "--target web"),
    ],
)
def test_a_wrong_option_is_said_in_one_line(bundle, tmp_path, options, said):
    answer = shortlist("export", bundle, tmp_path / "device", *options)
    assert (answer.code, answer.out) == (1, "")
    assert said in answer.err
    assert "internal" not in answer.err
    assert not (tmp_path / "device").exists()


def test_a_missing_bundle_is_said(tmp_path):
    answer = shortlist("export", tmp_path / "none", tmp_path / "device")
    assert answer.code == 1
    assert "shortlist train" in answer.err


def test_a_page_is_written_around_an_export_or_nothing_at_all(bundle, tmp_path):
    package = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "onnxruntime-web"
    if package.is_dir():
        answer = shortlist("export", bundle, tmp_path / "app", "--target", "web", "--runtime", package)
        assert answer.code == 0, answer.err
        assert DeviceManifest.read(tmp_path / "app" / "model").items.count == 48
        assert (tmp_path / "app" / "index.html").is_file()
        assert "http.server" in answer.err
    refused = shortlist("export", bundle, tmp_path / "other", "--target", "web", "--runtime", tmp_path)
    assert refused.code == 1
    assert "npm pack onnxruntime-web" in refused.err
    assert not (tmp_path / "other").exists()
