"""A funnel on disk: the same bits, and nothing but what was saved."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from funnel_cases import plain, retrievers, trained_ranker, whole
from planted import USERS, parts

import shortlist
from shortlist.data.sealed_folder import MANIFEST
from shortlist.errors import BundleError, ConfigError
from shortlist.funnel import Funnel, load_bundle, rank, save_bundle
from shortlist.funnel.bundle import FORMAT, VERSION
from shortlist.funnel.retrieve import Nearest, Popular
from shortlist.models import EASE, Ranker

EVERYBODY = [*(f"u{user:03}" for user in range(USERS)), "who?"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "whole"
    whole().save(path)
    return path


@pytest.fixture
def bundle(saved: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "bundle"))


def files_of(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file())


def assert_same_answers(one: Funnel, other: Funnel) -> None:
    for ours, theirs in zip(one.run(asking(one)).stages, other.run(asking(other)).stages, strict=True):
        assert ours[0] == theirs[0]
        assert torch.equal(ours[1].items.values, theirs[1].items.values)
        assert torch.equal(ours[1].scores, theirs[1].scores)
        assert torch.equal(ours[1].sources, theirs[1].sources)
        for name, column in ours[1].features.items():
            assert torch.equal(column, theirs[1].features[name]), (ours[0], name)
    assert one.recommend(EVERYBODY).frame.equals(other.recommend(EVERYBODY).frame)


def asking(funnel: Funnel):
    return funnel.data.requests_of(torch.from_numpy(funnel.data.people.encode(EVERYBODY).copy()))


def test_a_loaded_funnel_of_every_kind_of_stage_gives_the_same_bits(saved: Path):
    assert_same_answers(whole(), Funnel.load(saved))


@pytest.mark.parametrize("retriever", retrievers(), ids=lambda each: each.name)
def test_every_kind_of_retriever_gives_the_same_bits(retriever, tmp_path: Path):
    funnel = Funnel(retrieve=[retriever], data=parts()[0])
    funnel.save(tmp_path / "bundle")
    loaded = load_bundle(tmp_path / "bundle")
    assert_same_answers(funnel, loaded)
    assert loaded.retrievers[0].k == retriever.k
    assert type(loaded.retrievers[0]) is type(retriever)


def test_a_bundle_can_be_saved_again_in_its_own_place_and_stays_the_same(bundle: Path):
    first = Funnel.load(bundle)
    first.save(bundle)
    assert_same_answers(first, Funnel.load(bundle))
    assert [each.name for each in bundle.parent.iterdir()] == ["bundle"]


def test_the_manifest_says_what_the_bundle_holds(tmp_path: Path):
    save_bundle(plain(), tmp_path / "bundle", metrics={"ndcg@10": 0.5})
    manifest = json.loads((tmp_path / "bundle" / MANIFEST).read_text())
    assert (manifest["format"], manifest["version"]) == (FORMAT, VERSION)
    assert manifest["metrics"] == {"ndcg@10": 0.5}
    assert manifest["versions"]["shortlist"] == shortlist.__version__
    assert manifest["schema"]["timestamp"] == "time"
    names = {each.relative_to(tmp_path / "bundle").as_posix() for each in files_of(tmp_path / "bundle")}
    assert set(manifest["sha256"]) == names - {MANIFEST}
    kinds = {Path(name).suffix for name in names}
    assert kinds == {".json", ".arrow", ".safetensors"}  # nothing that executes when it is read


def test_a_flipped_byte_in_any_file_is_refused_with_the_file_named(bundle: Path):
    for file in files_of(bundle):
        content = file.read_bytes()
        for place in (0, len(content) // 2, len(content) - 1):
            damaged = bytearray(content)
            damaged[place] ^= 0x20
            file.write_bytes(damaged)
            with pytest.raises(BundleError) as caught:
                Funnel.load(bundle)
            assert str(file) in str(caught.value), (file, place)
        file.write_bytes(content)
    Funnel.load(bundle)


def test_a_missing_file_is_refused_with_the_file_named(bundle: Path):
    for file in files_of(bundle):
        content = file.read_bytes()
        file.unlink()
        with pytest.raises(
            BundleError, match=MANIFEST if file.name == MANIFEST else "cannot be read"
        ) as caught:
            Funnel.load(bundle)
        assert file.name == MANIFEST or str(file) in str(caught.value)
        file.write_bytes(content)


def test_a_file_that_was_not_sealed_is_refused_and_hidden_ones_are_left_alone(bundle: Path):
    (bundle / ".DS_Store").write_text("made by a file manager")
    (bundle / "data" / ".cache").mkdir()
    (bundle / "data" / ".cache" / "x").write_text("")
    Funnel.load(bundle)
    (bundle / "data" / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match=r"does not belong to the folder.*notes\.txt.*remove it"):
        Funnel.load(bundle)


def test_a_bundle_of_a_newer_version_is_refused(bundle: Path):
    reseal(bundle, version=VERSION + 1)
    with pytest.raises(BundleError, match=f"version {VERSION + 1}.*upgrade shortlist"):
        Funnel.load(bundle)


def test_another_kind_of_folder_is_refused(bundle: Path, tmp_path: Path):
    reseal(bundle, format="shortlist.checkpoint")
    with pytest.raises(BundleError, match=r"holds 'shortlist\.checkpoint', not 'shortlist\.bundle'"):
        Funnel.load(bundle)
    with pytest.raises(BundleError, match="there is no manifest"):
        Funnel.load(tmp_path)
    with pytest.raises(BundleError, match="there is no manifest"):
        Funnel.load(tmp_path / "nowhere")


def test_what_is_no_bundle_is_not_replaced(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("")
    for place in ("mine", "file"):
        with pytest.raises(ConfigError, match="was not written by shortlist"):
            plain().save(tmp_path / place)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        plain().save(tmp_path / "file" / "bundle")


def test_a_failed_save_leaves_the_old_bundle_and_nothing_else(bundle: Path):
    class Mine(EASE):
        pass

    before = {file: file.read_bytes() for file in files_of(bundle.parent)}
    funnel = Funnel(retrieve=[Popular(), Nearest(Mine().fit(parts()[0]))])
    with pytest.raises(ConfigError, match="class 'Mine' cannot be saved"):
        funnel.save(bundle)
    assert {file: file.read_bytes() for file in files_of(bundle.parent)} == before


def test_a_ranker_in_the_place_of_a_retriever_is_refused_and_the_reverse(bundle: Path):
    described = json.loads((bundle / "funnel.json").read_text())
    for change, message in (
        ({"rank": {"model": "retriever-2", "keep": 5}}, "its ranker is a EASE"),
        ({"retrieve": [{**described["retrieve"][0], "model": "ranker"}]}, "a Ranker cannot retrieve"),
    ):
        (bundle / "funnel.json").write_text(json.dumps({**described, **change}))
        reseal(bundle)
        with pytest.raises(BundleError, match=message):
            Funnel.load(bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 2.5}, "size is 2.5, not of type int"),
        ({"size": True}, "size is True, not of type int"),
        ({"seed": None}, "seed is None, not of type int"),
        ({"retrieve": {}}, "retrieve is {}, not of type list"),
        ({"retrieve": ["x"]}, "an object is needed, not 'x'"),
        ({"retrieve": []}, "needs a retriever"),
        ({"rank": {"model": "../elsewhere", "keep": 9}}, "the bundle has no model '../elsewhere'"),
        ({"rank": {"model": "ranker", "keep": "9"}}, "keep is '9', not of type int"),
        ({"rank": []}, "an object is needed, not"),
        ({"postrank": [{"kind": "Boos"}]}, "did you mean 'Boost'"),
    ],
    ids=str,
)
def test_a_description_that_means_nothing_is_refused(change: dict, message: str, bundle: Path):
    described = json.loads((bundle / "funnel.json").read_text())
    (bundle / "funnel.json").write_text(json.dumps({**described, **change}))
    reseal(bundle)
    with pytest.raises(BundleError, match=re.escape(message)):
        Funnel.load(bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "Farthest"}, "kind 'Farthest' of a retriever is unknown"),
        ({"half_life": 9}, "half_life is 9"),
        ({"k": 0}, "k must be"),
        ({"name": 7}, "name is 7, not of type str"),
    ],
    ids=str,
)
def test_a_described_retriever_that_means_nothing_is_refused(change: dict, message: str, bundle: Path):
    described = json.loads((bundle / "funnel.json").read_text())
    described["retrieve"][1].update(change)
    (bundle / "funnel.json").write_text(json.dumps(described))
    reseal(bundle)
    with pytest.raises(BundleError, match=re.escape(message)):
        Funnel.load(bundle)


def test_a_ranker_that_learned_on_earlier_data_is_saved_as_the_funnel_uses_it(tmp_path: Path):
    assert trained_ranker().space is not None
    funnel = plain(rank=rank.Scored(trained_ranker(), keep=9))
    assert isinstance(funnel.rank, rank.Scored)
    assert isinstance(funnel.rank.ranker, Ranker)
    funnel.save(tmp_path / "bundle")
    assert_same_answers(funnel, Funnel.load(tmp_path / "bundle"))


def reseal(folder: Path, **changes: object) -> None:
    """Write the manifest of what is there now, as somebody would who wants to be believed."""
    from shortlist.data import sealed_folder

    manifest = {**json.loads((folder / MANIFEST).read_text()), **changes}
    (folder / MANIFEST).unlink()
    del manifest["sha256"], manifest["seal"]
    sealed_folder._seal(folder, manifest)
