"""The demo, from a small folder of MovieLens-100K's form to its bundle and its next command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from shortlist.cli import demo
from shortlist.cli.output import Output
from shortlist.errors import DataError
from shortlist.funnel import Funnel

USERS, ITEMS = 40, 60


@pytest.fixture
def small_movielens(tmp_path: Path) -> Path:
    """Forty users who keep to films of one of three genres."""
    folder, random = tmp_path / "ml-100k", np.random.default_rng(0)
    folder.mkdir()
    events = []
    for user in range(1, USERS + 1):
        own = np.arange(1, ITEMS + 1)[np.arange(ITEMS) % 3 == user % 3]
        for place, item in enumerate(random.choice(own, 12, replace=False)):
            events.append(f"{user}\t{item}\t{random.integers(1, 6)}\t{880_000_000 + 1000 * place + user}")
    flags = [["1" if genre == 1 + item % 3 else "0" for genre in range(19)] for item in range(ITEMS)]
    films = [
        f"{item + 1}|Film {item + 1} (1995)|01-Jan-1995|||{'|'.join(flags[item])}" for item in range(ITEMS)
    ]
    users = [f"{user}|30|M|writer|00000" for user in range(1, USERS + 1)]
    for name, lines in {"u.data": events, "u.item": films, "u.user": users}.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="latin-1")
    return folder


def test_the_demo_compares_explains_recommends_and_writes_a_bundle(
    small_movielens: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    demo.run(Output(), small_movielens, tmp_path / "bundle", seed=3)
    text, said = capsys.readouterr()
    for part in ("popularity", "ease", "towers", "the funnel", "NDCG@10", "seed 3", "has seen 11"):
        assert part in text
    for stage in ("possible", "retrieve", "rank", "diversity", "final"):
        assert stage in text
    assert "like Film" in text
    assert "next: shortlist recommend" in said
    loaded = Funnel.load(tmp_path / "bundle")
    user = loaded.data.user_vocabulary.ids[0]
    found = loaded.recommend(user)
    assert len(found) == 12
    assert found.items[0] % 3 == (user + 1) % 3  # of the genre that the user keeps to


def test_the_demo_as_one_json_document(
    small_movielens: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    output = Output(json=True)
    demo.run(output, small_movielens, tmp_path / "bundle", seed=0)
    document = json.loads(capsys.readouterr().out)
    assert document["seed"] == 0
    assert set(document["figures"]) == {"popularity", "towers", "ease", "the funnel"}
    assert len(document["recommendations"]) == 12
    assert len(document["history"]) == 11


def test_a_folder_without_the_data_is_an_error_and_not_a_made_up_catalogue(tmp_path: Path):
    with pytest.raises(DataError):
        demo.run(Output(), tmp_path, tmp_path / "bundle", seed=0)
    assert not (tmp_path / "bundle").exists()
