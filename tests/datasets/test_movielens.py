"""MovieLens in its three file formats, read where it lies or fetched once."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import io
import shutil
import zipfile
from datetime import date

import pytest

from shortlist.datasets import movielens
from shortlist.errors import ConfigError, DataError

module = importlib.import_module("shortlist.datasets.movielens")  # the package re-exports its function


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SHORTLIST_DATA", raising=False)
    monkeypatch.setattr(module, "SITE", "http://127.0.0.1:9/")  # nobody listens there
    return tmp_path / "cache" / "shortlist"


def test_100k_has_the_published_numbers_and_typed_columns(data_dir):
    data = movielens("100k", folder=data_dir / "ml-100k", strict=True)
    assert (len(data), len(data.users), len(data.items)) == (100_000, 943, 1682)
    assert data.interactions.row(0) == (196, 242, 3.0, 881250949)
    assert data.users.row(0, named=True) == {
        "user_id": 1,
        "age": 24,
        "gender": "M",
        "occupation": "technician",
        "zip": "85711",
    }
    assert data.items.row(0, named=True) == {
        "item_id": 1,
        "title": "Toy Story (1995)",
        "year": 1995,
        "release_date": date(1995, 1, 1),
        "genres": ["Animation", "Children's", "Comedy"],
    }


def test_100k_titles_are_read_in_their_own_encoding(data_dir):
    titles = movielens("100k", folder=data_dir).items["title"]
    assert "Misérables, Les (1995)" in titles.to_list()


def test_1m_has_the_published_numbers(data_dir):
    data = movielens("1m", folder=data_dir)
    assert (len(data), len(data.users), len(data.items)) == (1_000_209, 6040, 3883)
    assert data.users.row(0) == (1, 1, "F", "K-12 student", "48067")
    assert data.items["genres"][0].to_list() == ["Animation", "Children's", "Comedy"]


def test_the_environment_says_where_the_data_is(data_dir, monkeypatch):
    monkeypatch.setenv("SHORTLIST_DATA", str(data_dir))
    data = movielens("latest-small")
    assert (len(data), len(data.items), data.users) == (100_836, 9742, None)
    assert data.items["genres"].list.len().min() == 0  # "(no genres listed)"


def test_10m_titles_may_hold_colons_and_quotes(tmp_path):
    folder = tmp_path / "ml-10M100K"
    folder.mkdir()
    (folder / "ratings.dat").write_text("1::122::5::838985046\n1::185::3.5::838983525\n")
    (folder / "movies.dat").write_text(
        '122::Mission: "Café" (1996)::Action|Drama\n185::Net, The::(no genres listed)\n'
    )
    data = movielens("10m", folder=tmp_path)
    assert data.interactions["rating"].to_list() == [5.0, 3.5]
    assert data.items.rows() == [
        (122, 'Mission: "Café" (1996)', 1996, ["Action", "Drama"]),
        (185, "Net, The", None, []),
    ]


@pytest.mark.parametrize("edition", ["20m", "25m", "32m"])
def test_the_editions_in_csv_share_one_format(tmp_path, edition):
    folder = tmp_path / f"ml-{edition}"
    folder.mkdir()
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n")
    (folder / "movies.csv").write_text('movieId,title,genres\n2,"Net, The (1995)",Action|Crime\n')
    data = movielens(edition, folder=folder)
    assert data.interactions.rows() == [(1, 2, 3.5, 1112486027)]
    assert data.items.rows() == [(2, "Net, The (1995)", 1995, ["Action", "Crime"])]


def test_bad_rows_are_counted_and_strict_refuses_them(data_dir, tmp_path):
    folder = tmp_path / "ml-100k"
    shutil.copytree(data_dir / "ml-100k", folder, ignore=shutil.ignore_patterns("split*"))
    folder.chmod(0o755)
    lines = (data_dir / "ml-100k" / "u.data").read_text().splitlines()[:100]
    (folder / "u.data").unlink()
    (folder / "u.data").write_text("\n".join([*lines, "7\t8\tgood\t881250949", "\t8\t3\t5", lines[0]]))
    data = movielens("100k", folder=folder)
    assert data.report.causes == {
        "missing user id": 1,
        "label is not a number": 1,
        "the same event again": 1,
    }
    with pytest.raises(DataError, match=r"missing user id: 1 \(rows 101\).*u\.data"):
        movielens("100k", folder=folder, strict=True)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "u.data").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"u\.user"):
        movielens("100k", folder=tmp_path)
    (tmp_path / "u.user").write_text("1|24|M|x|1\n")
    (tmp_path / "u.item").write_text("1|Film\n")
    with pytest.raises(DataError, match=r"2 columns and 1 rows; 24 columns were expected.*u\.item"):
        movielens("100k", folder=tmp_path)


def test_an_unknown_edition_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"no MovieLens edition '100'.*did you mean '100k'"):
        movielens("100")


def test_a_folder_without_the_files_is_refused_and_nothing_is_downloaded(tmp_path):
    with pytest.raises(DataError, match=r"u\.data of ml-100k is not there"):
        movielens("100k", folder=tmp_path)


def test_without_a_network_the_error_is_one_line_that_says_what_to_do(cache):
    with pytest.raises(DataError) as caught:
        movielens("100k")
    message = str(caught.value)
    assert "\n" not in message
    assert "the download failed" in message
    assert "SHORTLIST_DATA" in message
    assert list(cache.iterdir()) == []


def test_a_download_is_unpacked_into_the_cache_once(cache, data_dir, serve, monkeypatch):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for name in ("u.data", "u.item", "u.user"):
            files.write(data_dir / "ml-100k" / name, f"ml-100k/{name}")
        files.writestr("../escaped", "no")
    content = archive.getvalue()
    edition = dataclasses.replace(
        module.EDITIONS["100k"], size=len(content), digest="sha256:" + hashlib.sha256(content).hexdigest()
    )
    monkeypatch.setitem(module.EDITIONS, "100k", edition)
    site, requests = serve({"/ml-100k.zip": content})
    monkeypatch.setattr(module, "SITE", site)
    assert len(movielens("100k")) == len(movielens("100k")) == 100_000
    assert requests == ["/ml-100k.zip"]
    assert [path.name for path in cache.iterdir()] == ["ml-100k"]
    assert not (cache.parent / "escaped").exists()
