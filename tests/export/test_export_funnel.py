"""A whole funnel as a folder: it is verified, whole or absent, and says what it holds."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from export.export_cases import mean_towers, plain_funnel, ranker, sequential, whole_funnel
from planted import ITEMS, parts, plain_towers

from shortlist.calibration import Platt
from shortlist.data import Id
from shortlist.errors import BundleError, ConfigError
from shortlist.export import DeviceManifest, ExportReport, StageCheck, export_bundle, export_funnel
from shortlist.export import verify as verification
from shortlist.export.feeds import Session
from shortlist.export.item_table import read_item_table
from shortlist.export.tables import decode_table
from shortlist.funnel import Funnel, rank
from shortlist.funnel.retrieve import Nearest, Popular
from shortlist.models import EASE, BoostedRanker, Ranker
from shortlist.postrank import Cap


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> ExportReport:
    """The export of a query tower and what is popular, in float32."""
    return export_funnel(plain_funnel(), tmp_path_factory.mktemp("plain") / "device")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> ExportReport:
    """The export of every kind of stage, in eight bits."""
    return export_funnel(whole_funnel(), tmp_path_factory.mktemp("whole") / "device", encoding="int8")


def read(report: ExportReport, name: str) -> bytes:
    return report.manifest.files[name].read(report.path)


def table(report: ExportReport, name: str) -> np.ndarray:
    found = report.manifest.tables[name]
    return decode_table(read(report, found.file), found.encoding, rows=found.rows, dim=found.dim)


def test_the_manifest_on_disk_is_the_reports_and_every_file_is_whole(whole):
    manifest = DeviceManifest.read(whole.path)
    assert manifest == whole.manifest
    for name in manifest.files:
        read(whole, name)
    files = [each for each in whole.path.rglob("*") if each.is_file()]
    assert {each.relative_to(whole.path).as_posix() for each in files} == {
        "manifest.json",
        *(each.path for each in manifest.files.values()),
    }
    assert whole.bytes >= sum(each.stat().st_size for each in files)


def test_the_items_and_their_vectors_are_in_the_funnels_order(plain):
    catalogue = plain_funnel().catalogue
    ids, columns = read_item_table(read(plain, "items"), count=ITEMS)
    assert ids == catalogue.vocabulary.ids.to_list()
    assert columns["title"] == catalogue.items["title"].to_list()[1:]
    assert np.array_equal(table(plain, "vectors"), mean_towers().item_vectors.numpy())
    assert (table(plain, "popularity")[1:, 0] >= 1).all()


def test_with_float32_tables_no_item_of_a_list_changes(plain):
    assert [each.stage for each in plain.checks] == ["towers"]
    assert plain.overlap == 1
    assert plain.recall_cost == 0


def test_the_loss_of_eight_bits_is_stated_for_every_stage(whole):
    assert [each.stage for each in whole.checks] == ["towers", "sequence", "rank"]
    assert 0.5 < whole.overlap <= 1
    assert all(isinstance(each, StageCheck) and each.requests > 1 for each in whole.checks)
    assert set(whole.encodings.values()) == {"int8", "float32"}


def test_stages_name_what_is_there(whole):
    manifest = whole.manifest
    assert [(each.kind, each.name, each.k) for each in manifest.retrieve] == [
        ("nearest", "towers", 20),
        ("nearest", "sequence", 20),
        ("popular", "popular", 10),
    ]
    assert manifest.rank is not None
    assert (manifest.rank.keep, manifest.rank.scores) == (15, ("popular",))
    assert manifest.rank.calibrated
    kinds = [stage["kind"] for stage in manifest.postrank]
    assert kinds == ["Exclude", "Boost", "Freshness", "Diversity", "Cap"]
    assert (manifest.size, manifest.seed, manifest.diversity_table) == (6, 5, "vectors")
    assert manifest.postrank[2]["column"] == "first_seen"
    assert whole.left_out == ("Explore",)


def test_conditions_became_tables(whole):
    items = whole_funnel().catalogue.items
    exclude, boost = (whole.manifest.postrank[place]["table"] for place in (0, 1))
    dropped = (items["item_id"] == "i000") | (items["price"] > 48)
    assert (table(whole, exclude)[:, 0] == dropped.fill_null(False).to_numpy()).all()
    assert (table(whole, boost)[:, 0] == (items["price"] < 10).fill_null(False).to_numpy()).all()


def test_context_is_an_input_and_the_user_is_not(whole):
    inputs = {each.name: each for each in whole.manifest.inputs}
    assert set(inputs["device"].values) == {"desk", "phone"}
    assert inputs["age"].column == "age"
    assert "age_itself" not in inputs, "one number is asked for once"
    assert inputs["time"].now
    assert "user_id" not in inputs


def test_models_have_standard_operators_and_no_wide_integers_as_inputs(whole):
    for name in ("query.onnx", "query_2.onnx", "rank.onnx"):
        model = onnx.load_from_string(read(whole, name))
        assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)]
        kinds = {each.type.tensor_type.elem_type for each in model.graph.input}
        assert kinds <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT32}
        assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
        assert str(Path(__file__).parent).encode() not in read(whole, name)


def test_a_query_model_takes_any_batch_and_any_length_of_history(plain):
    session = Session(read(plain, "query.onnx"))
    vectors = table(plain, "history")
    alone = session(
        {"item_id_history": vectors[None, [3, 5]], "item_id_history_mask": np.ones((1, 2), np.float32)}
    )
    rows = np.zeros((5, 7), np.int64)
    rows[:, :2] = [3, 5]
    mask = np.zeros((5, 7), np.float32)
    mask[:, :2] = 1
    many = session({"item_id_history": vectors[rows], "item_id_history_mask": mask})
    assert np.allclose(many[0], alone[0], atol=1e-6)
    assert alone[0].shape == (1, 8)


@pytest.mark.parametrize(
    "settings",
    [{"block": "hstu", "time_gaps": True}, {"block": "gru"}],
    ids=["hstu", "gru"],
)
def test_every_kind_of_sequence_model_passes_its_verification(settings, tmp_path):
    funnel = Funnel(retrieve=[Nearest(sequential(**settings), 20)])
    report = export_funnel(funnel, tmp_path / "device")
    assert report.overlap == 1
    kinds = [each.kind for each in report.manifest.inputs]
    assert kinds == ["history"] + ["history_times"] * bool(settings.get("time_gaps"))
    assert list(report.manifest.tables) == ["vectors"]


def test_candidates_that_all_score_alike_are_ranked_as_in_the_funnel(tmp_path):
    train, _ = parts()
    towers = plain_towers()  # of the user's id: to somebody unknown all items are alike
    towers.fit(train, epochs=1)
    scored = Ranker(candidate=[Id("item_id")], scores=["score_twotower"])
    retrieve = [Nearest(towers, k=20)]
    rank.fit(scored, retrieve, parts()[1], epochs=1)
    export_funnel(Funnel(retrieve=retrieve, rank=rank.Scored(scored)), tmp_path / "device")


def test_popularity_alone_needs_no_model(tmp_path):
    funnel = Funnel(retrieve=[Popular(10)], data=parts()[0])
    report = export_funnel(funnel, tmp_path / "device", items=7)
    assert list(report.manifest.files) == ["items", "popularity"]
    assert report.manifest.items.count == 7
    assert report.manifest.diversity_table is None
    assert report.checks == ()


def test_fewer_items_are_a_part_of_the_tables_and_say_what_they_cover(plain, tmp_path):
    room = plain.bytes - 1000
    report = export_funnel(plain_funnel(), tmp_path / "device", items=ITEMS - 1, max_bytes=room)
    assert report.bytes <= room
    assert report.encodings["vectors"] != "float32"
    assert report.manifest.items.count == ITEMS - 1
    assert 0 < report.manifest.items.traffic < 1
    ids = read_item_table(read(report, "items"))[0]
    everything = read_item_table(read(plain, "items"))[0]
    rows = [0] + [everything.index(each) + 1 for each in ids]
    step = np.abs(table(plain, "vectors")).max() / 7
    assert np.abs(table(report, "vectors") - table(plain, "vectors")[rows]).max() <= step


def test_what_does_not_fit_is_not_written(tmp_path):
    funnel = Funnel(retrieve=[Popular(10)], data=parts()[0])
    with pytest.raises(ConfigError, match=r"alone take.*--items"):
        export_funnel(funnel, tmp_path / "device", max_bytes="100B")
    assert not list(tmp_path.iterdir())


def test_a_bundle_is_exported_with_its_digest_and_gives_the_same_files(plain, tmp_path):
    plain_funnel().save(tmp_path / "bundle")
    report = export_bundle(tmp_path / "bundle", tmp_path / "device")
    assert len(report.manifest.source) == 64
    assert replace(report.manifest, source="") == plain.manifest
    with pytest.raises(BundleError):
        export_bundle(tmp_path / "device", tmp_path / "other")


def test_an_export_replaces_an_export_and_nothing_else(tmp_path):
    funnel = Funnel(retrieve=[Popular(10)], data=parts()[0])
    place = tmp_path / "device"
    place.mkdir()
    export_funnel(funnel, place)
    smaller = export_funnel(funnel, place, items=5)
    assert len(list((place / "files").iterdir())) == len(smaller.manifest.files)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep me")
    with pytest.raises(ConfigError, match="no device export"):
        export_funnel(funnel, tmp_path / "notes")
    assert [each.name for each in (tmp_path / "notes").iterdir()] == ["mine.txt"]


def test_a_model_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    class Wrong(Session):
        def __call__(self, feeds):
            return [-output for output in super().__call__(feeds)]

    monkeypatch.setattr(verification, "Session", Wrong)
    with pytest.raises(ConfigError, match="retriever 'towers' gives other items"):
        export_funnel(plain_funnel(), tmp_path / "device")
    assert not list(tmp_path.iterdir())


def test_what_no_device_can_run_is_refused_by_its_name(tmp_path):
    train = parts()[0]
    ease = Nearest(EASE(l2=20).fit(train), 20, "neighbours")
    with pytest.raises(ConfigError, match=r"'neighbours', a EASE.*TwoTower"):
        export_funnel(Funnel(retrieve=[ease]), tmp_path / "device")
    assert not list(tmp_path.iterdir())


def test_a_post_ranker_that_reads_what_stays_behind_is_refused(tmp_path):
    funnel = Funnel(retrieve=[Popular(10)], data=parts()[0], postrank=[Cap("picture", 1)])
    with pytest.raises(ConfigError, match=r"Cap reads the item column 'picture'"):
        export_funnel(funnel, tmp_path / "device")


def test_a_calibration_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    class Wrong(Session):
        def __call__(self, feeds):
            first, *rest = super().__call__(feeds)
            return [first, *(1 - output for output in rest)]

    calibration = Platt().fit(torch.tensor([0.0, 1, 2]), torch.tensor([0.0, 1, 1]))
    scored = rank.Scored(ranker(scores=("score_popular",)), calibration=calibration)
    funnel = Funnel(retrieve=[Popular(10)], data=parts()[0], rank=scored)
    monkeypatch.setattr(verification, "Session", Wrong)
    with pytest.raises(ConfigError, match="calibration gives other probabilities"):
        export_funnel(funnel, tmp_path / "device")


def test_trees_are_refused(tmp_path):
    earlier, recent = parts()[0].split_leave_last_out(count=2)
    trees = BoostedRanker(scores=("score_popular",), trees=3, min_data_in_leaf=1)
    rank.fit(trees, [Popular(30).fit(earlier)], recent)
    with pytest.raises(ConfigError, match=r"BoostedRanker.*Ranker"):
        export_funnel(plain_funnel(rank=rank.Scored(trees)), tmp_path / "device")


@cache
def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.split()
    )


def test_shortlist_itself_imports_no_onnx():
    assert not {"onnx", "onnxruntime", "onnxscript"} & modules_after("import shortlist, shortlist.export")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx" else found(name))
    with pytest.raises(ConfigError, match=r"needs onnx.*shortlist\[export\]"):
        export_funnel(plain_funnel(), tmp_path / "device")


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import shortlist.export

    assert "export_funnel" in dir(shortlist.export)
    with pytest.raises(AttributeError, match="export_all"):
        shortlist.export.export_all  # noqa: B018
