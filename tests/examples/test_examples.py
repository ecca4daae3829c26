"""Each example runs as it stands, and says something."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parent.parent.parent / "examples").glob("*.py"))


def test_there_are_examples() -> None:
    assert EXAMPLES


# In one process, since importing torch again would take longer than most examples: each runs in a namespace
# of its own, in a folder of its own, and shares nothing with the next but the libraries.
@pytest.mark.filterwarnings("ignore::shortlist.models.LosesToPopularity")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(example)])
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out.strip()
    assert not any(tmp_path.iterdir()), "an example leaves files where it was started"
