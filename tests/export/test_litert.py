"""Query models as LiteRT flatbuffers; runs where `shortlist[litert]` is installed."""

from __future__ import annotations

import importlib.util

import pytest
from export.export_cases import attention_towers, plain_funnel, rich_towers, sequential

from shortlist.errors import ConfigError
from shortlist.export import export_funnel
from shortlist.funnel import Funnel
from shortlist.funnel.retrieve import Nearest

INSTALLED = importlib.util.find_spec("litert_torch") is not None
MODELS = {
    "attention": attention_towers,
    "every feature": rich_towers,
    "transformer": sequential,
    "hstu with gaps": lambda: sequential(block="hstu", time_gaps=True),
    "gru": lambda: sequential(block="gru"),
}


@pytest.mark.skipif(not INSTALLED, reason="litert-torch is not installed")
@pytest.mark.parametrize("name", MODELS)
def test_a_flatbuffer_passes_the_same_verification(name, tmp_path, capfd):
    funnel = Funnel(retrieve=[Nearest(MODELS[name](), 20)])
    report = export_funnel(funnel, tmp_path / "device", litert=True)
    assert report.manifest.files["query.tflite"].path.endswith(".tflite")
    assert report.manifest.files["query.tflite"].read(report.path)[4:8] == b"TFL3"
    assert capfd.readouterr().out == ""


@pytest.mark.skipif(INSTALLED, reason="litert-torch is installed")
def test_the_missing_package_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"litert-torch.*shortlist\[litert\]"):
        export_funnel(plain_funnel(), tmp_path / "device", litert=True)
