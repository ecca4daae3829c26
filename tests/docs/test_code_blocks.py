"""The Python of the pages that a newcomer follows runs from top to bottom."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
USERS = 60  # of the 943 in MovieLens-100K: what the README trains on them takes seconds


def run_blocks(page: Path) -> dict[str, object]:
    """Run the Python blocks of a page in one namespace; a traceback shows the page's own lines."""
    text = page.read_text(encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "__main__"}
    blocks = list(BLOCK.finditer(text))
    assert blocks, f"{page} has no Python"
    for block in blocks:
        before = text.count("\n", 0, block.start(1))
        exec(compile("\n" * before + block.group(1), str(page), "exec"), namespace)
    return namespace


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def some_users(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MovieLens-100K with the events of its first users only."""
    folder = tmp_path / "data" / "ml-100k"
    folder.mkdir(parents=True)
    for name in ("u.item", "u.user"):
        shutil.copy(data_dir / "ml-100k" / name, folder)
    lines = (data_dir / "ml-100k" / "u.data").read_text().splitlines(keepends=True)
    (folder / "u.data").write_text("".join(line for line in lines if int(line.split("\t")[0]) <= USERS))
    monkeypatch.setenv("SHORTLIST_DATA", str(folder.parent))


@pytest.mark.filterwarnings("ignore::shortlist.models.LosesToPopularity")
@pytest.mark.usefixtures("some_users")
def test_the_readme_runs(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_blocks(REPOSITORY / "README.md")
    assert (elsewhere / "bundle" / "manifest.json").is_file()
    assert "popularity" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::shortlist.models.LosesToPopularity")
@pytest.mark.parametrize(
    "page", sorted((REPOSITORY / "docs" / "tutorials").glob("*.md")), ids=lambda p: p.stem
)
def test_a_tutorial_runs(page: Path, elsewhere: Path) -> None:
    run_blocks(page)
