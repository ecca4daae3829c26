"""Two hundred and fifty damaged or forged bundles: a clear error or a funnel, never anything else."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from funnel_cases import trained_ranker, two_retrievers
from planted import parts

from shortlist.calibration import Spline
from shortlist.data import sealed_folder
from shortlist.data.sealed_folder import MANIFEST
from shortlist.errors import BundleError, Error
from shortlist.funnel import Funnel, rank
from shortlist.funnel.retrieve import Popular
from shortlist.postrank import Boost, Cap

DAMAGES, FORGERIES = 90, 160
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2.5, -1e308, float("inf"), "", "x", "../../x", "Nearest", "popular\0",
    [], [[]], ["x", 1], {}, {"kind": "Cap"}, {"a": {"b": None}}, [0] * 40, 1 << 70,
)  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fuzzed") / "bundle"
    chances = Spline().fit(torch.linspace(-4, 4, 50), (torch.arange(50) % 7 > 3).float())
    funnel = Funnel(
        retrieve=[*two_retrievers(), Popular(5, half_life="9d")],
        rank=rank.Scored(trained_ranker(), keep=9, calibration=chances),
        postrank=[Boost(where="price < 10", by=0.3), Cap("group", 4)],
        data=parts()[0],
    )
    funnel.save(path)
    return path


def files_of(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file())


def state_of(folder: Path) -> dict[str, bytes | None]:
    everything = sorted(folder.rglob("*"))
    return {str(each): each.read_bytes() if each.is_file() else None for each in everything}


def truncate(folder: Path, draw: random.Random) -> None:
    file = draw.choice(files_of(folder))
    content = file.read_bytes()
    file.write_bytes(content[: draw.randrange(len(content))])


def flip(folder: Path, draw: random.Random) -> None:
    file = draw.choice(files_of(folder))
    content = bytearray(file.read_bytes())
    for _ in range(draw.choice([1, 1, 8])):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    file.write_bytes(content)


def flip_head(folder: Path, draw: random.Random) -> None:
    """Where formats keep their structure."""
    file = draw.choice(files_of(folder))
    content = bytearray(file.read_bytes())
    content[draw.randrange(min(len(content), 200))] = draw.randrange(256)
    file.write_bytes(content)


def delete(folder: Path, draw: random.Random) -> None:
    draw.choice(files_of(folder)).unlink()


def append(folder: Path, draw: random.Random) -> None:
    file = draw.choice(files_of(folder))
    file.write_bytes(file.read_bytes() + draw.randbytes(draw.randrange(1, 40)))


def empty(folder: Path, draw: random.Random) -> None:
    draw.choice(files_of(folder)).write_bytes(b"")


def turn_into_a_folder(folder: Path, draw: random.Random) -> None:
    file = draw.choice(files_of(folder))
    file.unlink()
    file.mkdir()


def swap(folder: Path, draw: random.Random) -> None:
    one, other = draw.sample([each for each in files_of(folder) if each.name != MANIFEST], 2)
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def edit_json(folder: Path, draw: random.Random) -> None:
    """Replace, delete or add one value somewhere in a JSON file."""
    file = draw.choice(
        [each for each in files_of(folder) if each.suffix == ".json" and each.name != MANIFEST]
    )
    document = json.loads(file.read_text())
    places: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, value in list(pairs):
            places.append((node, key))
            collect(value)

    collect(document)
    node, key = draw.choice(places)
    action = draw.choice(["replace", "replace", "replace", "delete", "add"])
    if action == "replace":
        node[key] = draw.choice(VALUES)
    elif action == "delete":
        del node[key]
    elif isinstance(node, dict):
        node[draw.choice(["x", "dim", "kind", "seed"])] = draw.choice(VALUES)
    else:
        node.append(draw.choice(VALUES))
    file.write_text(json.dumps(document))


def nest_deeply(folder: Path, draw: random.Random) -> None:
    file = draw.choice([each for each in files_of(folder) if each.suffix == ".json"])
    file.write_text("[" * 100_000)


DAMAGE = (truncate, flip, flip_head, delete, append, empty, turn_into_a_folder, nest_deeply)
FORGERY = (edit_json, edit_json, edit_json, edit_json, truncate, flip, flip_head, delete, swap, nest_deeply)


def reseal(folder: Path) -> None:
    """Recompute every checksum, so that the damage itself has to be read."""
    file = folder / MANIFEST
    try:
        manifest = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return  # the manifest itself was hit
    others = [each for each in files_of(folder) if each != file]
    manifest["sha256"] = {
        each.relative_to(folder).as_posix(): hashlib.sha256(each.read_bytes()).hexdigest() for each in others
    }
    manifest["seal"] = sealed_folder._digest_of_manifest(manifest)
    file.write_text(json.dumps(manifest))


def damaged(saved: Path, place: Path, damage: Callable[[Path, random.Random], None], seed: int) -> Path:
    folder = place / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(saved, folder)
    damage(folder, random.Random(seed))
    return folder


def test_the_bundle_is_good_before_it_is_damaged(saved: Path, tmp_path: Path):
    folder = damaged(saved, tmp_path, lambda folder, draw: reseal(folder), 0)
    assert len(Funnel.load(folder).recommend("u001")) == 12


def test_damage_is_a_bundle_error_and_nothing_is_written(saved: Path, tmp_path: Path):
    for seed in range(DAMAGES):
        damage = DAMAGE[seed % len(DAMAGE)]
        folder = damaged(saved, tmp_path, damage, seed)
        before = state_of(tmp_path)
        with pytest.raises(BundleError) as caught:
            Funnel.load(folder)
        assert caught.value.where.startswith(str(folder)), (damage.__name__, seed)
        assert caught.value.remedy, (damage.__name__, seed)
        assert state_of(tmp_path) == before


def test_a_forgery_is_a_bundle_error_or_a_funnel_that_answers(saved: Path, tmp_path: Path):
    refused = answered = 0
    for seed in range(FORGERIES):
        damage = FORGERY[seed % len(FORGERY)]
        folder = damaged(saved, tmp_path, damage, seed)
        reseal(folder)
        before = state_of(tmp_path)
        try:
            funnel = Funnel.load(folder)
        except BundleError as error:
            refused += error.where.startswith(str(folder))
        else:
            answered += answers(funnel)
        assert state_of(tmp_path) == before
    assert refused + answered == FORGERIES
    assert refused > FORGERIES / 3


def answers(funnel: Funnel) -> bool:
    try:
        funnel.recommend([*funnel.data.user_vocabulary.ids.head(3), "who?"])
    except Error as error:  # such as weights that are not finite any more
        return bool(error.remedy)
    return True


@pytest.mark.parametrize("field", ["format", "version", "sha256", "seal", "schema"])
def test_a_forged_manifest_is_a_bundle_error_or_changes_nothing(field: str, saved: Path, tmp_path: Path):
    for value in (*VALUES, {"../../x": "0"}, {"a\0b": "0"}, {"": ""}, "DELETE"):
        folder = damaged(saved, tmp_path, lambda folder, draw: None, 0)
        manifest = json.loads((folder / MANIFEST).read_text())
        manifest[field] = value
        if value == "DELETE":
            del manifest[field]
        if field != "seal":
            manifest["seal"] = sealed_folder._digest_of_manifest(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest))
        if field == "schema" or (field == "version" and refusal(folder) is None):
            continue  # the schema that counts stands with the data; an older version can be read
        error = refusal(folder)
        assert error is not None, value
        assert error.where.startswith(str(folder)), value


def refusal(folder: Path) -> BundleError | None:
    try:
        Funnel.load(folder)
    except BundleError as error:
        return error
    return None
