"""From a funnel to a folder that a device can answer from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from shortlist.data.sealed_folder import MANIFEST as BUNDLE_MANIFEST
from shortlist.data.sealed_folder import appearing
from shortlist.errors import ConfigError
from shortlist.export.asked import asked_requests
from shortlist.export.budget import choose_encodings, parse_bytes
from shortlist.export.contents import Contents
from shortlist.export.device import Device
from shortlist.export.graph import need_packages
from shortlist.export.item_columns import device_columns
from shortlist.export.item_table import write_item_table
from shortlist.export.litert import FLATBUFFER, need_litert
from shortlist.export.manifest import (
    KIND,
    MANIFEST,
    DeviceFile,
    DeviceItems,
    DeviceManifest,
    DeviceTable,
    Encoding,
)
from shortlist.export.report import ExportReport
from shortlist.export.selection import Selection, select_items
from shortlist.export.stages import DeviceStages, build_stages
from shortlist.export.tables import decode_table, encode_table
from shortlist.export.verify import Verifier
from shortlist.funnel.bundle import load_bundle
from shortlist.funnel.funnel import Funnel

# None that a web server would unpack or compress on its way.
EXTENSIONS = {"items": "items"}


def export_bundle(
    bundle: str | Path,
    path: str | Path,
    *,
    items: int | None = None,
    encoding: Encoding | None = None,
    max_bytes: str | int | None = None,
    litert: bool = False,
) -> ExportReport:
    """Write what a device needs to answer as a bundle does; see `export_funnel`.

    Args:
        bundle: the folder of the bundle.
        path: as in `export_funnel`.
        items: as there.
        encoding: as there.
        max_bytes: as there.
        litert: as there.

    Raises:
        BundleError: the bundle is missing or damaged.
        ConfigError: as there.
    """
    funnel = load_bundle(bundle)
    source = hashlib.sha256((Path(bundle) / BUNDLE_MANIFEST).read_bytes()).hexdigest()
    return export_funnel(
        funnel, path, items=items, encoding=encoding, max_bytes=max_bytes, litert=litert, source=source
    )


def export_funnel(
    funnel: Funnel,
    path: str | Path,
    *,
    items: int | None = None,
    encoding: Encoding | None = None,
    max_bytes: str | int | None = None,
    litert: bool = False,
    source: str = "",
) -> ExportReport:
    """Write what a device needs to answer as a funnel does: models, item vectors, item table, manifest.

    Before anything is written, histories from the funnel's own data go through the funnel and through the
    export: with float32 tables the first twelve items of every stage must be the same, and the report says
    how many are with the tables as they are stored.

    Args:
        funnel: of `TwoTower`, `Sequential` and `Popular` retrievers, and perhaps a `Ranker`.
        path: the folder; an export that is there is replaced, whole or not at all.
        items: how many items to keep, the most useful ones; None for all.
        encoding: of the tables; None for float32, or for what `max_bytes` allows.
        max_bytes: what all files may take together, such as `"2MB"`: the most precise encodings that fit are
            chosen.
        litert: whether each query model is written as a LiteRT flatbuffer too, for apps without ONNX Runtime;
            needs `pip install 'shortlist[litert]'`, over a gigabyte.
        source: SHA-256 of the manifest of the bundle that the funnel was read from.

    Returns:
        Sizes, encodings, and how the answers compare.

    Raises:
        ConfigError: a package is missing, a device cannot run a part of the funnel, nothing fits into
            `max_bytes`, an exported model answers otherwise than the original, or something else stands at
            `path`.
    """
    need_packages()
    if litert:
        need_litert()
    target = Path(path)
    refuse_other(target)
    room = None if max_bytes is None else parse_bytes(max_bytes)
    choose_encodings({}, encoding=encoding)  # refuses an unknown one before the work
    selection = select_items(funnel.data, items)
    contents = Contents(selection.rows, litert=litert)
    stages = build_stages(funnel, contents)
    place = torch.from_numpy(selection.place(len(funnel.data.item_vocabulary)))
    verifier = Verifier(
        funnel, contents, stages.retrieve, stages.rank, asked_requests(funnel.data, place), place
    )
    verifier.check(contents.tables, exact=True)
    packed = _pack(funnel, selection, contents, stages, source=source, encoding=encoding, room=room)
    manifest, files = packed
    stored = {
        name: decode_table(files[table.file], table.encoding, rows=table.rows, dim=table.dim)
        for name, table in manifest.tables.items()
    }
    checks = tuple(verifier.check(stored))
    _write(target, manifest, files)
    total = sum(len(each) for each in files.values()) + (target / MANIFEST).stat().st_size
    return ExportReport(target, manifest, total, checks, stages.left_out)


def refuse_other(target: Path) -> None:
    """Refuse a place where an export would replace something else.

    Args:
        target: where it is to be written.

    Raises:
        ConfigError: something stands there that is no export.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    try:
        found = json.loads((target / MANIFEST).read_text(encoding="utf-8"))["kind"]
    except (OSError, ValueError, KeyError, TypeError):
        found = None
    if found != KIND:
        raise ConfigError(
            f"{str(target)!r} exists and is no device export",
            remedy="choose another path, or remove it yourself",
        )


def _pack(
    funnel: Funnel,
    selection: Selection,
    contents: Contents,
    stages: DeviceStages,
    *,
    source: str,
    encoding: Encoding | None,
    room: int | None,
) -> tuple[DeviceManifest, dict[str, bytes]]:
    """The manifest and the files, with the encodings that are asked for or fit."""
    catalogue, rows = funnel.catalogue, selection.rows[1:]
    kinds, columns = device_columns(catalogue, rows, item_id=funnel.data.schema.item_id)
    _check_columns(stages, kinds)
    ids = catalogue.vocabulary.decode(rows).to_list()
    others = {**contents.models, "items": write_item_table(ids, columns)}
    others |= {f"{Path(name).stem}{FLATBUFFER}": each for name, each in contents.flatbuffers.items()}

    def packed(encodings: Mapping[str, Encoding]) -> tuple[DeviceManifest, dict[str, bytes]]:
        tables = {name: encode_table(contents.tables[name], encodings[name]) for name in contents.tables}
        files = {**others, **tables}
        return _manifest(funnel, selection, contents, stages, kinds, files, encodings, source), files

    weighed = ((name, contents.tables[name]) for name in _by_weight(contents, stages))
    shapes = {name: (len(table), table.shape[1]) for name, table in weighed}
    if room is None:
        return packed(choose_encodings(shapes, encoding=encoding))
    size = len(json.dumps(packed(choose_encodings(shapes))[0].to_dict(), indent=1)) + 1
    taken = sum(len(each) for each in others.values()) + size
    if taken >= room:
        raise ConfigError(
            f"the models, the item table and the manifest alone take {taken:,} of {room:,} bytes",
            where="max_bytes",
            remedy="allow more bytes, or keep fewer items with --items",
        )
    return packed(choose_encodings(shapes, encoding=encoding, room=room - taken))


def _check_columns(stages: DeviceStages, kinds: Mapping[str, str]) -> None:
    """Refuse post-rankers that read a column which stays behind."""
    for stage in stages.postrank:
        for field in ("column", "by"):
            name = stage.get(field)
            if isinstance(name, str) and name not in kinds:
                raise ConfigError(
                    f"{stage['kind']} reads the item column {name!r}, which no device can hold",
                    where="export",
                    remedy="use a column of text, lists of text, numbers, booleans or times",
                )


def _by_weight(contents: Contents, stages: DeviceStages) -> list[str]:
    """The tables, those first whose precision decides most: item vectors, then what the ranker reads."""
    first = [each.table for each in stages.retrieve]
    if stages.rank is not None and stages.rank.table is not None:
        first.append(stages.rank.table)
    return list(dict.fromkeys([*first, *contents.tables]))


def _manifest(
    funnel: Funnel,
    selection: Selection,
    contents: Contents,
    stages: DeviceStages,
    kinds: Mapping[str, str],
    files: Mapping[str, bytes],
    encodings: Mapping[str, Encoding],
    source: str,
) -> DeviceManifest:
    from shortlist import __version__

    tables = {
        name: DeviceTable(name, encodings[name], *map(int, table.shape))
        for name, table in contents.tables.items()
    }
    return DeviceManifest(
        shortlist=__version__,
        source=source,
        files={name: _described(name, content) for name, content in files.items()},
        tables=tables,
        items=DeviceItems(
            "items",
            len(selection.rows) - 1,
            kinds,
            traffic=float(np.round(selection.traffic, 6)),
            reach=float(np.round(selection.reach, 6)),
        ),
        inputs=tuple(contents.inputs.values()),
        retrieve=stages.retrieve,
        rank=stages.rank,
        postrank=stages.postrank,
        diversity_table=stages.diversity_table,
        size=funnel.size,
        seed=funnel.seed,
    )


def _described(name: str, content: bytes) -> DeviceFile:
    digest = hashlib.sha256(content).hexdigest()
    suffix = Path(name).suffix
    models = (".onnx", FLATBUFFER)
    extension = suffix.removeprefix(".") if suffix in models else EXTENSIONS.get(name, "table")
    return DeviceFile(f"files/{digest[:16]}.{extension}", len(content), digest)


def _write(target: Path, manifest: DeviceManifest, files: Mapping[str, bytes]) -> None:
    with appearing(target) as folder:
        (folder / "files").mkdir()
        for name, content in files.items():
            (folder / manifest.files[name].path).write_bytes(content)
        manifest.write(folder)
        Device.load(folder)  # what it refuses must not take the place of an export that works
