from __future__ import annotations

import math
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from shortlist.data import sealed_folder
from shortlist.errors import BundleError, ConfigError
from shortlist.training import Checkpoints, fit, read_checkpoint
from shortlist.training.checkpoint import FORMAT, VERSION, write_checkpoint

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool]).map(
        lambda dtype: torch.arange(6).reshape(2, 3).to(dtype)
    ),
    st.sampled_from([torch.tensor(3.0), torch.empty(0, 4), torch.arange(8)[::2]]),
)
keys = st.one_of(
    st.text(max_size=4), st.sampled_from(["a", "a.b", "$tensor", "$items", "$tuple"]), st.integers(0, 9)
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=12,
)


def same(one, other):
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or (one != one and other != other))


@settings(max_examples=40, deadline=None)
@given(state=st.dictionaries(keys, trees, max_size=4))
def test_what_is_written_is_read_back_to_the_bit(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "one"
    write_checkpoint(path, state)
    assert same(read_checkpoint(path), state)


def test_names_that_meet_when_joined_by_dots_are_kept_apart(tmp_path):
    state = {"a.b": torch.ones(1), "a": {"b": torch.zeros(1)}}
    write_checkpoint(tmp_path / "one", state)
    assert same(read_checkpoint(tmp_path / "one"), state)


def test_tied_weights_are_saved_and_stay_tied(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.inputs, self.outputs = nn.Linear(3, 3), nn.Linear(3, 3)
            self.outputs.weight = self.inputs.weight

    model, other = Tied(), Tied()
    write_checkpoint(tmp_path / "one", {"model": model.state_dict()})
    other.load_state_dict(read_checkpoint(tmp_path / "one")["model"])
    assert torch.equal(other.outputs.weight, model.inputs.weight)
    assert other.outputs.weight is other.inputs.weight


def test_what_only_pickle_could_hold_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ConfigError, match=r"'model\.extra' is a set, which a checkpoint cannot hold"):
        write_checkpoint(tmp_path / "one", {"model": {"extra": {1, 2}}})
    assert list(tmp_path.iterdir()) == []


def test_the_last_and_the_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.last() is None
    assert checkpoints.best() is None
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "epoch-0001-batch-000000-copy").mkdir()
    for epoch, batch, is_best in [(0, 5, False), (1, 0, True), (1, 5, False), (2, 0, False)]:
        checkpoints.save({"epoch": epoch}, epoch=epoch, batch=batch, is_best=is_best)
    assert checkpoints.last() == tmp_path / "epoch-0002-batch-000000"
    assert checkpoints.best() == tmp_path / "epoch-0001-batch-000000"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch-0001-batch-000000", "epoch-0001-batch-000000-copy", "epoch-0002-batch-000000", "notes.txt",
    ]  # fmt: skip
    checkpoints.save({}, epoch=3, batch=0, is_best=True)
    assert checkpoints.best() == checkpoints.last()
    assert not (tmp_path / "epoch-0001-batch-000000").exists()


def test_epochs_are_ordered_as_numbers(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for epoch in (9_999, 10_000):
        checkpoints.save({}, epoch=epoch, batch=0)
    assert checkpoints.last().name == "epoch-10000-batch-000000"


def test_a_killed_writers_leftovers_are_removed(tmp_path):
    leftover = tmp_path / ".epoch-0001-batch-000000.4711.unfinished"
    leftover.mkdir()
    (leftover / "state.json").write_text("{")
    assert Checkpoints(tmp_path).last() is None
    assert not leftover.exists()


def test_every_flipped_byte_is_refused_with_the_folder_named(tmp_path, make_model):
    path = tmp_path / "epoch-0001-batch-000000"
    write_checkpoint(path, {"model": {"weight": torch.arange(4.0)}, "loss": 0.25}, best=path.name)
    for file in sorted(path.iterdir()):
        original = file.read_bytes()
        for position in range(len(original)):
            damaged = bytearray(original)
            damaged[position] ^= 0x04
            file.write_bytes(damaged)
            try:
                state = read_checkpoint(path)
            except BundleError as error:
                assert str(path) in str(error)  # noqa: PT017 - the other outcome is checked too
            else:  # white space, or torch's version: not what a training depends on
                assert file.name == "manifest.json"
                assert same(state, {"model": {"weight": torch.arange(4.0)}, "loss": 0.25})
        file.write_bytes(original)


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "manifest.json"])
def test_a_missing_file_is_named(name, tmp_path):
    path = tmp_path / "one"
    write_checkpoint(path, {"weight": torch.ones(2)})
    (path / name).unlink()
    with pytest.raises(BundleError, match=f"delete {path} to go on from the checkpoint before it") as caught:
        read_checkpoint(path)
    assert name in str(caught.value)


def sealed(path, content, **facts):
    with sealed_folder.writing(path, **{"format": FORMAT, "version": VERSION, "facts": {}} | facts) as folder:
        save_file({"weight": torch.ones(2)}, folder / "tensors.safetensors")
        (folder / "state.json").write_text(content)


@pytest.mark.parametrize(
    ("content", "facts", "message"),
    [
        ("{}", {"version": 99}, "version 99.*upgrade shortlist"),
        ("{}", {"format": "other"}, "holds 'other'"),
        ("{}", {"facts": {"best": "../../elsewhere"}}, "names '../../elsewhere' as the best"),
        ("{}", {"facts": {"best": 3}}, "names 3 as the best"),
        ('{"model": {"$tensor": "bias"}}', {}, "does not hold a training's state .*bias"),
        ("[1, 2]", {}, "does not hold a training's state"),
        ("not json", {}, "does not hold a training's state"),
    ],
)
def test_foreign_and_newer_checkpoints_are_refused(content, facts, message, tmp_path):
    sealed(tmp_path / "one", content, **facts)
    with pytest.raises(BundleError, match=message) as caught:
        read_checkpoint(tmp_path / "one")
    assert caught.value.remedy


def test_a_damaged_last_checkpoint_is_refused_and_the_one_before_it_goes_on(make_model, loader, tmp_path):
    scores = iter([0.9, 0.1])
    more = {"monitor": "auc", "checkpoint_dir": tmp_path}
    fit(make_model(), loader, epochs=2, validate=lambda: {"auc": next(scores)}, **more)
    last = Checkpoints(tmp_path).last()
    (last / "state.json").write_text("{}")
    with pytest.raises(BundleError, match=f"delete {last} to go on"):
        fit(make_model(), loader, epochs=3, validate=lambda: {"auc": 0.5}, resume=True, **more)
    shutil.rmtree(last)
    history = fit(make_model(), loader, epochs=3, validate=lambda: {"auc": 0.5}, resume=True, **more)
    assert [row["auc"] for row in history.epochs] == [0.9, 0.5, 0.5]


def test_a_best_checkpoint_that_is_gone_is_named(tmp_path):
    write_checkpoint(tmp_path / "epoch-0002-batch-000000", {}, best="epoch-0001-batch-000000")
    with pytest.raises(BundleError, match="'epoch-0001-batch-000000' is missing"):
        Checkpoints(tmp_path).best()


def test_a_folder_that_cannot_be_made_is_named(tmp_path, make_model, loader):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"checkpoint_dir .*file/inside' cannot be made: Not a directory"):
        fit(make_model(), loader, epochs=1, checkpoint_dir=tmp_path / "file" / "inside")


def test_the_best_weights_can_be_loaded_from_their_checkpoint(make_model, loader, tmp_path, same_weights):
    scores = iter([0.1, 0.9, 0.3])
    model, other = make_model(), make_model(seed=9)
    fit(
        model,
        loader,
        epochs=3,
        validate=lambda: {"auc": next(scores)},
        monitor="auc",
        checkpoint_dir=tmp_path,
    )
    assert Checkpoints(tmp_path).best().name == "epoch-0002-batch-000000"
    other.load_state_dict(read_checkpoint(Checkpoints(tmp_path).best())["model"])
    same_weights(model, other)


def test_numbers_survive_json_exactly(tmp_path):
    numbers = [0.1, math.pi, 1e-300, math.inf, 2**53 + 1]
    write_checkpoint(tmp_path / "one", {"numbers": numbers})
    assert read_checkpoint(tmp_path / "one")["numbers"] == numbers
