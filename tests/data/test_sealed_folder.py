"""A sealed folder is whole or absent, and a damaged one is refused with the file named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from save_and_be_killed import FORMAT, read, save

from shortlist.data.sealed_folder import MANIFEST, read_manifest, writing
from shortlist.errors import BundleError, ConfigError

FILES = ["one.txt", "part/two.txt", "three.txt"]


def test_a_kill_at_any_moment_leaves_the_old_folder_or_none_never_half(tmp_path):
    script = Path(__file__).with_name("save_and_be_killed.py")
    output = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "folder")], capture_output=True, text=True, check=True
    ).stdout
    kills = [json.loads(line) for line in output.splitlines()]
    assert sum(each["killed"] for each in kills) > 20
    for each in kills:
        allowed = {"new"} if not each["killed"] else {"new", None, "old"} if each["old"] else {"new", None}
        assert each["found"] in allowed, each
    assert {"old", "new"} <= {each["found"] for each in kills if each["killed"]}


def test_the_manifest_holds_the_facts_and_a_checksum_of_each_file(tmp_path):
    save(tmp_path / "folder", "x")
    manifest = read_manifest(tmp_path / "folder", **FORMAT)
    assert manifest["content"] == "x"
    assert sorted(manifest["sha256"]) == sorted(FILES)
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_saving_again_replaces_all_of_it(tmp_path):
    save(tmp_path / "folder", "x")
    with writing(tmp_path / "folder", **FORMAT, facts={}) as folder:
        (folder / "other.txt").write_text("y")
    assert sorted(each.name for each in (tmp_path / "folder").iterdir()) == [MANIFEST, "other.txt"]


def test_an_error_while_writing_leaves_the_old_folder(tmp_path):
    def fail_halfway() -> None:
        with writing(tmp_path / "folder", **FORMAT, facts={}) as folder:
            (folder / "one.txt").write_text("new")
            raise RuntimeError("no more")

    save(tmp_path / "folder", "old")
    with pytest.raises(RuntimeError, match="no more"):
        fail_halfway()
    assert read(tmp_path / "folder") == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_flipped_byte_is_refused_with_the_file_named(tmp_path, name):
    save(tmp_path / "folder", "content")
    file = tmp_path / "folder" / name
    whole = file.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        for bit in (1, 64):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            with pytest.raises(BundleError, match=r"\(.*folder.*\); ") as refused:
                read_manifest(tmp_path / "folder", **FORMAT)
            assert (
                name in str(refused.value)
                or "it holds" in str(refused.value)
                or "version" in str(refused.value)
            )
    file.write_bytes(whole)
    assert read(tmp_path / "folder") == "content"


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_a_missing_or_shortened_file_is_refused_by_name(tmp_path, name):
    save(tmp_path / "folder", "content")
    file = tmp_path / "folder" / name
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(BundleError, match=name):
        read_manifest(tmp_path / "folder", **FORMAT)
    file.unlink()
    with pytest.raises(BundleError, match=name):
        read_manifest(tmp_path / "folder", **FORMAT)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"format": "test", "version": "x", "sha256": {}}'])
def test_a_manifest_that_is_none_is_refused(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read"):
        read_manifest(tmp_path, **FORMAT)


def test_a_file_that_was_never_sealed_is_refused_but_hidden_ones_are_let_be(tmp_path):
    save(tmp_path / "folder", "x")
    (tmp_path / "folder" / ".DS_Store").write_text("")
    assert read(tmp_path / "folder") == "x"
    (tmp_path / "folder" / "part" / "more.arrow").write_text("")
    with pytest.raises(BundleError, match=r"does not belong to the folder.*more\.arrow.*remove it"):
        read_manifest(tmp_path / "folder", **FORMAT)


def test_another_format_and_a_newer_version_are_refused(tmp_path):
    save(tmp_path / "folder", "x")
    with pytest.raises(BundleError, match="it holds 'test', not 'model'"):
        read_manifest(tmp_path / "folder", format="model", version=1)
    with pytest.raises(BundleError, match=r"version 1, this shortlist reads up to 0.*upgrade shortlist"):
        read_manifest(tmp_path / "folder", format="test", version=0)


def test_what_shortlist_did_not_write_is_never_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    (tmp_path / "file").write_text("dear")
    save(tmp_path / "other", "x")
    for name, format in (("mine", "test"), ("file", "test"), ("other", "model")):
        with (
            pytest.raises(ConfigError, match=r"was not written by shortlist as.*choose another path"),
            writing(tmp_path / name, format=format, version=1, facts={}),
        ):
            pass
    assert (tmp_path / "mine" / "letter.txt").read_text() == (tmp_path / "file").read_text() == "dear"


def test_an_empty_folder_may_be_filled_and_parents_are_made(tmp_path):
    (tmp_path / "empty").mkdir()
    save(tmp_path / "empty", "x")
    save(tmp_path / "a" / "b" / "c", "y")
    assert read(tmp_path / "empty") == "x"
    assert read(tmp_path / "a" / "b" / "c") == "y"


def test_a_place_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigError, match=r"cannot be written.*choose another path"),
        writing(tmp_path / "file" / "folder", **FORMAT, facts={}),
    ):
        pass


def test_a_copy_of_a_sealed_folder_is_as_good(tmp_path):
    save(tmp_path / "folder", "x")
    shutil.copytree(tmp_path / "folder", tmp_path / "copy")
    assert read(tmp_path / "copy") == "x"
