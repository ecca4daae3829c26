"""Models on disk: every kind comes back, and what is no model is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from planted import parts, plain_towers
from safetensors.torch import load_file, save_file

from shortlist.errors import BundleError, ConfigError, NotFittedError
from shortlist.models import ALS, EASE, ItemKNN, Popularity, load_model, save_model

KINDS = {
    "popularity": lambda: Popularity(half_life="30d"),
    "item_knn": ItemKNN,
    "ease": EASE,
    "als": lambda: ALS(factors=4, iterations=2),
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_every_baseline_comes_back_bit_for_bit(make, tmp_path: Path):
    train, _ = parts()
    model = make().fit(train)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model", train)
    assert type(loaded) is type(model)
    assert loaded.config() == model.config()
    people = torch.arange(len(train.people))
    for ours, theirs in zip(
        model.retrieve(train.requests_of(people), 9),
        loaded.retrieve(train.requests_of(people), 9),  # type: ignore[union-attr]
        strict=True,
    ):
        assert torch.equal(ours, theirs)
    assert loaded.recommend("u007").items == model.recommend("u007").items  # type: ignore[union-attr]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(EASE().fit(parts()[0]), tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def saved_towers(tmp_path: Path) -> Path:
    model = plain_towers()
    model.fit(parts()[0], epochs=1)
    save_model(model, tmp_path / "towers")
    return tmp_path / "towers"


def refused(folder: Path, match: str) -> None:
    with pytest.raises(BundleError, match=match) as caught:
        load_model(folder, parts()[0])
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("file", ["model.json", "weights.safetensors"])
def test_a_missing_file_is_refused(saved: Path, file: str):
    (saved / file).unlink()
    refused(saved, "not a saved model")


def test_a_missing_folder_is_refused(tmp_path: Path):
    refused(tmp_path / "nowhere", "not a saved model")


@pytest.mark.parametrize("file", ["model.json", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"\x00\xff", b"[1, 2]", b'{"kind": 3'])
def test_a_damaged_file_is_refused(saved: Path, file: str, content: bytes):
    (saved / file).write_bytes(content)
    refused(saved, "not a saved model")


def test_a_model_of_a_newer_version_is_refused_by_its_kind(saved: Path):
    edit(saved, kind="EASY")
    refused(saved, "model kind 'EASY' is unknown.*did you mean 'EASE'")


@pytest.mark.parametrize("config", [{"l2": -1}, {"depth": 3}, {"l2": "much"}, [], None])
def test_settings_that_the_model_does_not_take_are_refused(saved: Path, config: object):
    edit(saved, config=config)
    refused(saved, "the weights do not fit the model")


def test_weights_of_another_kind_are_refused(saved: Path):
    edit(saved, kind="ItemKNN", config=ItemKNN().config())
    refused(saved, "the state of ItemKNN holds")


@pytest.mark.parametrize(
    ("kind", "name", "change"),
    [
        ("ease", "trained_items", lambda tensor: tensor + 9),
        ("ease", "weights", lambda tensor: tensor[1:]),
        ("als", "item_factors", lambda tensor: tensor.double()),
        ("item_knn", "neighbours", lambda tensor: tensor + 40),
        ("item_knn", "offsets", lambda tensor: tensor.flip(0)),
        ("item_knn", "similarities", lambda tensor: tensor[:3]),
        ("popularity", "popularity", lambda tensor: tensor[None]),
    ],
)
def test_indices_and_shapes_that_fit_would_never_give_are_refused(kind, name, change, tmp_path: Path):
    save_model(KINDS[kind]().fit(parts()[0]), tmp_path / "model")
    file = tmp_path / "model" / "weights.safetensors"
    weights = load_file(file)
    save_file({**weights, name: change(weights[name]).contiguous()}, file)
    refused(tmp_path / "model", "do not fit together")


def test_weights_of_another_catalogue_are_refused(tmp_path: Path):
    save_model(Popularity().fit(parts()[0]), tmp_path / "model")
    file = tmp_path / "model" / "weights.safetensors"
    save_file({"popularity": load_file(file)["popularity"][:-1].clone()}, file)
    refused(tmp_path / "model", "the weights are of 47 items, not 48")


@pytest.mark.parametrize("kept", [0, 1])
def test_towers_whose_weights_lack_a_layer_or_have_another_shape_are_refused(saved_towers: Path, kept: int):
    weights = load_file(saved_towers / "weights.safetensors")
    name = next(name for name in weights if "embedding" in name)
    if kept:
        weights[name] = weights[name][:, :-1].contiguous()
    else:
        del weights[name]
    save_file(weights, saved_towers / "weights.safetensors")
    refused(saved_towers, "the weights do not fit the model")


def test_towers_without_their_encodings_are_refused(saved_towers: Path):
    (saved_towers / "features.json").unlink()
    with pytest.raises(BundleError, match="not a saved feature space"):
        load_model(saved_towers, parts()[0])


def test_towers_and_encodings_of_different_features_are_refused(saved_towers: Path):
    described = json.loads((saved_towers / "model.json").read_text())
    described["config"]["query"]["features"].pop()
    edit(saved_towers, config=described["config"])
    refused(saved_towers, "name different features")


def test_a_model_that_was_not_trained_cannot_be_saved(tmp_path: Path):
    for number, model in enumerate((EASE(), plain_towers())):
        with pytest.raises(NotFittedError, match="fit"):
            save_model(model, tmp_path / str(number))


def test_a_subclass_cannot_be_saved_as_its_parent(tmp_path: Path):
    class Easier(EASE):
        pass

    with pytest.raises(ConfigError, match="class 'Easier' cannot be saved"):
        save_model(Easier().fit(parts()[0]), tmp_path / "model")


def edit(folder: Path, **changes: object) -> None:
    described = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**described, **changes}))
