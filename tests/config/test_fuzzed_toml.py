"""Configurations with random damage: either they are right, or the error is clear and nothing is written."""

from __future__ import annotations

import random

import pytest
from config.config_cases import write_tables

from shortlist.config import load_config
from shortlist.errors import Error

MUTATIONS = 320
RIGHT = """\
[data]
interactions = "events.parquet"
users = "users.parquet"
items = "items.parquet"
timestamp = "timestamp"
label = "rating"
[split]
by = "time"
test = 0.1
[retriever]
dim = 8
temperature = 0.2
query = [{ kind = "Id", column = "user_id" }, { kind = "History", column = "item_id", length = 20 }]
candidate = [{ kind = "Id", column = "item_id" }, { kind = "Tags", column = "genres" }]
[training]
epochs = 1
batch_size = 64
[ranker]
dim = 4
query = [{ kind = "Number", column = "age" }]
[ranker.objectives]
losses = { rating = "rating" }
balance = "uncertainty"
[funnel]
size = 5
[[funnel.retrieve]]
kind = "TwoTower"
k = 20
[[funnel.retrieve]]
kind = "EASE"
l2 = 50.0
[[postrank]]
kind = "Diversity"
strength = 0.1
[[postrank]]
kind = "Cap"
column = "genres"
at_most = 2
[bundle]
path = "bundle"
"""
VALUES = (
    "-1", "0", "1e308", "-0.0", "99999999999999999999999", "nan", "inf", "true", '""', '"\\u0000"', "[]",
    "[[]]", "{}", "1979-05-27", "'''\n'''", '"../../.."', '"~nobody-there/x"', '"é"', "[1, 'a']",
    "{ kind = 'Id' }", "0x7fffffff", "3.5",
)  # fmt: skip
LETTERS = "=[]{}\"'#\n.,\\\0é 0azTw-_"


def _value(rng: random.Random, lines: list[str]) -> None:
    number = rng.choice([place for place, line in enumerate(lines) if " = " in line])
    lines[number] = f"{lines[number].split(' = ')[0]} = {rng.choice(VALUES)}"


def _key(rng: random.Random, lines: list[str]) -> None:
    number = rng.choice([place for place, line in enumerate(lines) if " = " in line])
    key, value = lines[number].split(" = ", 1)
    place = rng.randrange(len(key))
    lines[number] = f"{key[:place]}{rng.choice('abexyz_')}{key[place + 1 :]} = {value}"


def _delete(rng: random.Random, lines: list[str]) -> None:
    del lines[rng.randrange(len(lines))]


def _repeat(rng: random.Random, lines: list[str]) -> None:
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))


def _letters(rng: random.Random, lines: list[str]) -> None:
    for _ in range(rng.randint(1, 3)):
        number = rng.randrange(len(lines))
        place = rng.randint(0, len(lines[number]))
        lines[number] = (
            lines[number][:place] + rng.choice(LETTERS) + lines[number][place + rng.randint(0, 1) :]
        )


def _word(rng: random.Random, lines: list[str]) -> None:
    words = [word for line in lines for word in line.replace(",", " ").split() if word.startswith('"')]
    number = rng.choice([place for place, line in enumerate(lines) if '"' in line])
    lines[number] = lines[number].replace(rng.choice(words), rng.choice(words), 1)


def damaged(seed: int) -> str:
    rng, lines = random.Random(seed), RIGHT.splitlines()
    for _ in range(rng.randint(1, 2)):
        rng.choice([_value, _value, _key, _delete, _repeat, _letters, _word])(rng, lines)
    return "\n".join(lines)


@pytest.fixture(scope="module")
def shop_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    write_tables(folder)
    return folder


def outcome(folder, text: str) -> str:
    """`""` where the configuration is right, else the message; anything but an `Error` propagates."""
    file = folder / "shortlist.toml"
    file.write_text(text, encoding="utf-8", newline="")
    try:
        config = load_config(file)
        config.split(config.dataset())
    except Error as error:
        return str(error)
    return ""


def test_the_undamaged_configuration_is_right(shop_folder):
    assert outcome(shop_folder, RIGHT) == ""


def test_damaged_configurations_give_clear_errors_and_write_nothing(shop_folder):
    before = {each.name for each in shop_folder.iterdir()} | {"shortlist.toml"}
    messages = {}
    for seed in range(MUTATIONS):
        text = damaged(seed)
        try:
            messages[seed] = outcome(shop_folder, text)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n{text}") from error
    wrong = {seed: said for seed, said in messages.items() if said}
    assert len(wrong) > MUTATIONS // 2
    assert all("Traceback" not in said and len(said) < 1500 for said in wrong.values())
    assert {each.name for each in shop_folder.iterdir()} == before


def test_errors_of_damaged_keys_name_the_file(shop_folder):
    rng = random.Random(1)
    for _ in range(40):
        lines = RIGHT.splitlines()
        _key(rng, lines)
        said = outcome(shop_folder, "\n".join(lines))
        assert not said or "shortlist.toml" in said
