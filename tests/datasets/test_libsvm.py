"""Judged documents by query, in the format of SVM-light."""

from __future__ import annotations

import gzip

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.datasets import libsvm as module
from shortlist.datasets import read_libsvm
from shortlist.errors import DataError


def test_mq2008_has_the_published_numbers(data_dir):
    parts = [read_libsvm(data_dir / "letor" / f"MQ2008-S{part}.txt.gz") for part in range(1, 6)]
    assert sum(len(part) for part in parts) == 784
    assert sum(len(part.labels) for part in parts) == 15_211
    assert all(part.features.shape[1] == 46 for part in parts)
    assert set(torch.cat([part.labels for part in parts]).tolist()) == {0, 1, 2}
    first = parts[0]
    assert first.queries[0] == "10002"
    torch.testing.assert_close(first.features[0, [0, 2, 45]], torch.tensor([0.007477, 1.0, 0.007042]))


def test_the_sizes_beside_lightgbms_files_are_the_queries(data_dir):
    table = read_libsvm(data_dir / "letor" / "lightgbm-rank.train.gz", num_features=300)
    assert table.features.shape == (3005, 300)
    assert len(table) == 201
    assert table.offsets[:3].tolist() == [0, 1, 14]
    assert table.offsets[-1] == 3005


documents = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.dictionaries(st.integers(1, 6), st.integers(-99, 99))),
    min_size=1,
    max_size=20,
)


@given(documents, st.booleans())
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, rows, small_blocks):
    rows = sorted(rows, key=lambda row: row[0])
    lines = [
        f"{label} qid:q{query} "
        + " ".join(f"{name}:{value / 8}" for name, value in features.items())
        + " # it"
        for query, label, features in rows
    ]
    path = tmp_path_factory.mktemp("libsvm") / "table.txt"
    path.write_text("# a comment\n\n" + "\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", 3 if small_blocks else 20_000)
        table = read_libsvm(path, num_features=6)
    expected = [[features.get(name, 0) / 8 for name in range(1, 7)] for _, _, features in rows]
    assert table.features.tolist() == expected
    assert table.labels.tolist() == [label for _, label, _ in rows]
    sizes = [sum(row[0] == query for row in rows) for query in range(4)]
    assert table.offsets.diff().tolist() == [size for size in sizes if size]
    assert table.queries == tuple(f"q{query}" for query in range(4) if sizes[query])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("1 qid:1 1:0.5\nx qid:1 1:2\n", r"line 2 cannot be understood: 'x qid:1 1:2'.*bad\.txt"),
        ("1 qid:1 1:0.5\n\n1 qid:1 1:half\n", "line 3 cannot be understood"),
        ("1 qid:1 one:0.5\n", "line 1 cannot be understood"),
        ("1 qid:1 5\n", "line 1 cannot be understood"),
        ("1 qid:1 1:nan\n", "line 1 cannot be understood"),
        ("nan qid:1 1:1\n", "line 1 cannot be understood"),
        ("1 qid:1 0:0.5\n", "zero_based=True"),
        ("1 qid:1 -1:0.5\n", "line 1 cannot be understood"),
        ("1 qid:1 99999999999:0.5\n", "line 1 cannot be understood"),
        ("1 qid:1 1:1\n1 qid:2 1:1\n# here\n1 qid:1 1:1\n", "line 4 returns to query '1'.*sort the lines"),
        ("1 qid:1 1:1\n1 1:1\n", "line 2 has no qid"),
        ("1 1:1\n", r"no qid, and there is no bad\.txt\.query"),
        ("1 qid:1 3:1\n", "feature 3 but num_features is 2"),
        ("", "holds no line"),
        ("# nothing\n", "holds no line"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path, lines, said):
    path = tmp_path / "bad.txt"
    path.write_text(lines)
    with pytest.raises(DataError, match=said):
        read_libsvm(path, num_features=2)


def test_features_may_count_from_zero(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("1 qid:1 0:0.5 2:1\n")
    assert read_libsvm(path, zero_based=True).features.tolist() == [[0.5, 0.0, 1.0]]


@pytest.mark.parametrize(
    ("sizes", "said"), [("1\n2\n", "add up to 3 but there are 2"), ("1\nx\n", "line 2 is no size")]
)
def test_sizes_that_do_not_fit_are_refused(tmp_path, sizes, said):
    (tmp_path / "table.txt").write_text("1 1:1\n0 1:2\n")
    (tmp_path / "table.txt.query").write_text(sizes)
    with pytest.raises(DataError, match=said):
        read_libsvm(tmp_path / "table.txt")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"1 qid:1 1:1\n" * 1000)[:-10])
    with pytest.raises(DataError, match=r"cut\.gz"):
        read_libsvm(path)
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"cut\.gz"):
        read_libsvm(path)
    with pytest.raises(DataError, match=r"No such file.*gone\.txt"):
        read_libsvm(tmp_path / "gone.txt")
    (tmp_path / "latin.txt").write_bytes(b"1 qid:1 1:1 # caf\xe9\n")
    with pytest.raises(DataError, match=r"latin\.txt"):
        read_libsvm(tmp_path / "latin.txt")
