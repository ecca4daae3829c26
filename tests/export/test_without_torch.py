"""A device needs neither PyTorch nor Polars nor PyArrow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from device_cases import RANK, make_case

BLOCKED = """
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in "torch polars pyarrow scipy pydantic safetensors onnx".split():
            raise ImportError(f"{name} is not on the device")


sys.meta_path.insert(0, Blocker())
"""


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED + code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_device_answers_where_there_is_no_torch(tmp_path: Path) -> None:
    postrank = (
        {"kind": "Freshness", "half_life": "30d", "strength": 0.5, "column": "released"},
        {"kind": "Diversity", "strength": 0.5, "method": "mmr"},
        {"kind": "Cap", "column": "genres", "at_most": 2, "fill": True},
    )
    folder = make_case(rank=RANK, postrank=postrank).write(tmp_path / "export")
    said = run(
        """
from shortlist.export import Device, update

device = Device.load(sys.argv[1])
device.adapt(liked=[101], disliked=[102])
print(len(device.recommend([103, 104])), len(device.similar(101)), update(sys.argv[1], sys.argv[1]).files)
""",
        str(folder),
    )
    assert said.split() == ["6", "12", "0"]
