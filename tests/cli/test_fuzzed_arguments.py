"""Bad arguments of every kind: exit code 1 or 2, one clear line, no traceback, nothing written."""

from __future__ import annotations

import random

import pytest
from cli.cli_cases import files_in, make_quick, shortlist, write_shop

SETS = 160
WORDS = (
    "", " ", "-", "--", "-k", "--nothing", "--json=3", "--out", "--bundle", "--where", "nowhere",
    "nowhere.csv", ".", "..", "/", "/dev/null", "/proc/self/mem", "~nobody-there/x.csv", "a\0b",
    "a\0b.toml", "é\udcff", "*", "[", "**/x.csv", "x" * 5000, "x" * 300 + ".toml", "1e9", "-1", "0",
    "99999999999999999999", "%s", "'; DROP TABLE items; --", "\n", "\\", "garbage.toml", "garbage.parquet",
    "garbage.csv", "empty.csv", "folder", "folder.toml", "binary.csv", "events.parquet", "bad-bundle",
    "{}", "\x1b[31m",
)  # fmt: skip
OPTIONS = {
    "init": ("--users", "--items", "--out", "--user-id", "--item-id", "--force"),
    "train": ("--config", "--strict"),
    "evaluate": ("--config", "--bundle"),
    "recommend": ("--bundle", "-k", "--where", "--explain", "--include-seen"),
    "demo": ("--data", "--seed"),
}
FLAGS = ("--force", "--strict", "--explain", "--include-seen")
POSITIONAL = ("init", "recommend")


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder full of files that are not what their names say, and no configuration and no bundle."""
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path, events=200)
    (tmp_path / "garbage.toml").write_bytes(b"[data\n\xff")
    (tmp_path / "garbage.parquet").write_bytes(b"PAR1" + bytes(range(256)))
    (tmp_path / "garbage.csv").write_text('a,b\n1,2,3\n"x\n')
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "bad-bundle").mkdir()
    (tmp_path / "bad-bundle" / "manifest.json").write_text('{"format": "shortlist.bundle"}')
    return tmp_path


def bad_arguments(seed: int) -> list[str]:
    rng = random.Random(seed)
    command = rng.choice([*OPTIONS, *OPTIONS, "", "trian", "\0"])
    words = [rng.choice(WORDS) for _ in range(rng.randint(0, 2))] if command in POSITIONAL else []
    for option in rng.sample(OPTIONS.get(command, WORDS[:8]), rng.randint(1, 2)):
        words += [option] if option in FLAGS else [option, rng.choice(WORDS)]
    if command == "demo":  # a good seed alone would train
        words += ["--data", rng.choice(("nowhere", "folder", "garbage.csv", "a\0b"))]
    if rng.random() < 0.3:
        words.append("--json")
    return [command, *words]


def test_bad_arguments_never_crash_or_write(shop):
    before = files_in(shop)
    codes = []
    for seed in range(SETS):
        arguments = bad_arguments(seed)
        answer = shortlist(*arguments)
        told = f"seed {seed}: shortlist {arguments}\n{answer}"
        codes.append(answer.code)
        made = {name for name in files_in(shop) if name not in before}
        if answer.code == 0:  # some are right after all, such as `init events.parquet`
            assert arguments[0] == "init", told
            assert made <= {"shortlist.toml"} or all(name.endswith(".toml") for name in made), told
            for name in made:
                (shop / name).unlink()
            continue
        assert answer.code in (1, 2), told
        assert "Traceback" not in answer.out + answer.err, told
        assert "internal error" not in answer.err, told
        assert answer.err.strip(), told
        assert answer.code == 2 or answer.err.count("\n") <= 2, told
        assert files_in(shop) == before, told
    assert codes.count(1) > SETS // 4
    assert codes.count(2) > SETS // 8


def test_bad_arguments_of_recommend_never_crash(trained, monkeypatch):
    monkeypatch.chdir(trained)
    rng = random.Random(3)
    before = files_in(trained)
    for _ in range(60):
        arguments = [
            "--bundle",
            "bundle",
            "--where",
            rng.choice([*WORDS, "year", "1", "null", "genres = 'x'", "abs(title)"]),
        ]
        answer = shortlist(
            "recommend", "-k", rng.choice(["1", "1000000"]), *arguments, "--", rng.choice(WORDS)
        )
        told = f"{arguments}\n{answer}"
        assert answer.code in (0, 1, 2), told
        assert "internal error" not in answer.err, told
        assert files_in(trained) == before, told


def test_odd_user_ids_are_unknown_users(trained, monkeypatch):
    monkeypatch.chdir(trained)
    for word in WORDS:
        answer = shortlist("recommend", "-k", 2, "--json", "--", word)
        assert answer.code == (1 if "\udcff" in word else 0), (word, answer)
        if answer.code == 0:
            assert answer.document["recommendations"][0]["known"] is False


def test_odd_user_ids_are_unknown_where_ids_are_integers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shop(tmp_path, events=500, integer_ids=True)
    assert shortlist("init", "events.parquet").code == 0
    make_quick(tmp_path / "shortlist.toml")
    assert shortlist("train").code == 0
    for word in (*WORDS, "1_0", "1.5", "٣", "1e3", "9223372036854775808"):
        answer = shortlist("recommend", "-k", 2, "--json", "--", word)
        assert answer.code == (1 if "\udcff" in word else 0), (word, answer)
