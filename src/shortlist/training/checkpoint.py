"""Checkpoints: tensors in safetensors, the rest in JSON, whole or absent.

A checkpoint is a folder `epoch-0003-batch-000120` (three epochs and 120 batches of the next are done):

    tensors.safetensors   model, optimizer and random state, by dotted name
    state.json            everything else, with {"$tensor": name} where a tensor belongs
    manifest.json         format, version, SHA-256 of the two, the name of the best checkpoint

It is a sealed folder, so a process killed at any moment leaves the checkpoints that were there before,
or those and the new one. Nothing in it is executed when read.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shortlist.data import sealed_folder
from shortlist.errors import BundleError, ConfigError

FORMAT = "shortlist.checkpoint"
VERSION = 1
_NAME = re.compile(r"epoch-(\d{4,})-batch-(\d{6,})")
_UNFINISHED = re.compile(r"\.epoch-\d+-batch-\d+\.\d+\.unfinished")


class Checkpoints:
    """The folder of a training's checkpoints: the last one and the best one are kept.

    Args:
        folder: made if it isn't there; what a killed writer left unfinished in it is removed.

    Raises:
        ConfigError: it cannot be made.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"checkpoint_dir {str(folder)!r} cannot be made: {error.strerror}",
                remedy="give a folder that can be written to",
            ) from error
        self._remove(_UNFINISHED)
        self._verified: dict[Path, Path | None] = {}  # the last checkpoint and the best that it names

    def last(self) -> Path | None:
        """The newest checkpoint, None when there is none."""
        found = [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        return max(found, key=lambda path: _position(path.name), default=None)

    def best(self) -> Path | None:
        """The checkpoint of the best epoch so far, None when no metric is monitored.

        Raises:
            BundleError: the newest checkpoint is damaged, or the one that it names is gone.
        """
        last = self.last()
        if last is None:
            return None
        if last not in self._verified:  # reading all of it before each save would double a save's cost
            name = _read_manifest(last)["best"]
            self._verified = {last: self.folder / name if name else None}
        best = self._verified[last]
        if best and not best.is_dir():
            raise BundleError(
                f"checkpoint {best.name!r} is missing",
                where=str(self.folder),
                remedy=f"put the folder back; {last} names it as the best",
            )
        return best

    def save(self, state: Mapping[str, Any], *, epoch: int, batch: int, is_best: bool = False) -> Path:
        """Write a checkpoint, then remove those that are neither the last nor the best.

        Args:
            state: nested dicts, lists and tuples of tensors, numbers, strings and None.
            epoch: epochs done.
            batch: batches done in the next epoch.
            is_best: whether it is the best so far; otherwise the best stays what it was.

        Returns:
            The checkpoint's folder. One of this position that is there already is left as it is.
        """
        path = self.folder / f"epoch-{epoch:04d}-batch-{batch:06d}"
        if path.is_dir():
            return path
        best = path if is_best else self.best()
        write_checkpoint(path, state, best=best.name if best else None)
        self._verified = {path: best}
        self._remove(_NAME, keep=(path, best))
        return path

    def _remove(self, names: re.Pattern[str], *, keep: tuple[Path | None, ...] = ()) -> None:
        for path in self.folder.iterdir():
            if names.fullmatch(path.name) and path not in keep:
                shutil.rmtree(path)


def _position(name: str) -> tuple[int, int]:
    epoch, batch = _NAME.findall(name)[0]
    return int(epoch), int(batch)


def write_checkpoint(path: Path, state: Mapping[str, Any], *, best: str | None = None) -> None:
    """Write one checkpoint's folder, atomically.

    Args:
        path: the folder to make; it must not exist.
        state: nested dicts, lists and tuples of tensors, numbers, strings and None.
        best: name of the best checkpoint, next to this one.

    Raises:
        ConfigError: the state holds something that only pickle could write.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    plain = _take_tensors(state, "", tensors)
    facts = {"torch": torch.__version__, "best": best}
    with sealed_folder.writing(path, format=FORMAT, version=VERSION, facts=facts) as folder:
        save_file(_ready(tensors), folder / "tensors.safetensors")
        (folder / "state.json").write_text(json.dumps(plain, indent=1), encoding="utf-8")


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """Read and verify one checkpoint's folder.

    Args:
        path: of the folder, such as `Checkpoints(folder).best()` returns.

    Returns:
        The state as it was saved, tensors on the CPU: `["model"]` is the model's `state_dict`.

    Raises:
        BundleError: a file is missing, damaged, foreign or newer than this version.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    _read_manifest(path)
    try:
        tensors = load_file(path / "tensors.safetensors")
        plain = json.loads((path / "state.json").read_text(encoding="utf-8"))
        return dict(_put_tensors(plain, tensors))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise BundleError(
            f"it does not hold a training's state ({type(error).__name__}: {error})",
            where=str(path),
            remedy="give a folder that fit(checkpoint_dir=) wrote",
        ) from error


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = sealed_folder.read_manifest(path, format=FORMAT, version=VERSION)
    except BundleError as error:
        advice = f"{error.remedy}, or delete {path} to go on from the checkpoint before it, if there is one"
        raise BundleError(error.what, where=error.where, remedy=advice) from error
    best = manifest.get("best")
    if best is not None and not (isinstance(best, str) and _NAME.fullmatch(best)):
        raise BundleError(
            f"it names {best!r} as the best checkpoint",
            where=str(path / sealed_folder.MANIFEST),
            remedy="give a folder that fit(checkpoint_dir=) wrote",
        )
    return {**manifest, "best": best}


def _take_tensors(tree: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Move the tensors of a nested structure into `tensors`; what is returned goes through JSON."""
    if isinstance(tree, Tensor):
        while name in tensors:  # {"a.b": …} beside {"a": {"b": …}}
            name += "_"
        tensors[name] = tree
        return {"$tensor": name}
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    join = f"{name}." if name else ""
    if isinstance(tree, Mapping):
        parts = [(key, _take_tensors(value, f"{join}{key}", tensors)) for key, value in tree.items()]
        plain = all(isinstance(key, str) and not key.startswith("$") for key, _ in parts)
        return dict(parts) if plain else {"$items": [list(part) for part in parts]}
    if isinstance(tree, list | tuple):
        items = [_take_tensors(value, f"{join}{number}", tensors) for number, value in enumerate(tree)]
        return items if isinstance(tree, list) else {"$tuple": items}
    raise ConfigError(
        f"{name!r} is a {type(tree).__name__}, which a checkpoint cannot hold",
        remedy="keep tensors, numbers, strings, lists, tuples and dicts in state_dict()",
    )


def _put_tensors(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Undo `_take_tensors`."""
    if isinstance(tree, list):
        return [_put_tensors(value, tensors) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if "$tensor" in tree:
        return tensors[tree["$tensor"]]
    if "$tuple" in tree:
        return tuple(_put_tensors(value, tensors) for value in tree["$tuple"])
    if "$items" in tree:
        return {key: _put_tensors(value, tensors) for key, value in tree["$items"]}
    return {key: _put_tensors(value, tensors) for key, value in tree.items()}


def _ready(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU and contiguous; tied weights as copies, since safetensors refuses shared memory."""
    ready: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        pointer = value.untyped_storage().data_ptr()
        ready[name] = value.clone() if pointer in seen else value
        seen.add(pointer)
    return ready
