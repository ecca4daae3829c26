"""A download is whole and verified, or not there."""

from __future__ import annotations

import hashlib
import socket
import zipfile

import pytest

from shortlist.datasets.download import cache_folder, download, unpack
from shortlist.errors import DataError

CONTENT = bytes(range(256)) * 1000
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


@pytest.mark.parametrize("digest", [SHA256, MD5])
def test_a_file_with_the_right_size_and_digest_arrives(serve, tmp_path, digest):
    site, _ = serve({"/file.zip": CONTENT})
    target = tmp_path / "cache" / "file.zip"
    assert download(site + "file.zip", target, size=len(CONTENT), digest=digest) == target
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["file.zip"]


@pytest.mark.parametrize(
    ("size", "digest", "said"),
    [
        (len(CONTENT) - 1, SHA256, "more than 255,999 bytes"),
        (len(CONTENT) + 1, SHA256, "256,000 of 256,001 bytes"),
        (len(CONTENT), "sha256:" + "0" * 64, "sha256 is .*, not 0000"),
    ],
)
def test_a_file_of_a_wrong_size_or_digest_is_refused_and_leaves_nothing(serve, tmp_path, size, digest, said):
    site, _ = serve({"/file.zip": CONTENT})
    with pytest.raises(DataError, match=said):
        download(site + "file.zip", tmp_path / "file.zip", size=size, digest=digest)
    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_breaks_off_leaves_the_old_file(serve, tmp_path):
    target = tmp_path / "file.zip"
    target.write_bytes(b"old")
    site, _ = serve({"/file.zip": CONTENT}, cut_after=100_000)
    with pytest.raises(DataError):
        download(site + "file.zip", target, size=len(CONTENT), digest=SHA256)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_is_not_there_is_an_error_with_the_address(serve, tmp_path):
    site, _ = serve({})
    with pytest.raises(DataError, match=r"the download failed: Not Found \(http.*gone\.zip\)"):
        download(site + "gone.zip", tmp_path / "gone.zip", size=1, digest=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_given_up(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file.zip"
        with pytest.raises(DataError, match="timed out"):
            download(url, tmp_path / "file.zip", size=1, digest=SHA256, timeout=0.2)


def test_a_folder_that_cannot_be_written_is_a_clear_error(serve, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataError, match="the download failed"):
        download("http://127.0.0.1:9/x", tmp_path / "file" / "x", size=1, digest=SHA256)


def test_the_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "shortlist"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "shortlist"


def test_a_damaged_archive_leaves_no_folder(tmp_path):
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match=r"cannot be unpacked.*a\.zip"):
        unpack(archive, tmp_path / "a")
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("b/file", "x")
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "a")
    assert list(tmp_path.iterdir()) == [archive]
