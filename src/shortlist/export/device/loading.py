"""A verified export in memory: tables decoded, models ready, rules built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shortlist.errors import BundleError, Error
from shortlist.export.device.diversity import normalized
from shortlist.export.device.inputs import Inputs
from shortlist.export.device.items import Items
from shortlist.export.device.models import ExportedModel
from shortlist.export.device.ranking import Ranker
from shortlist.export.device.retrieval import Nearest, Popular, Retriever
from shortlist.export.device.rough_product import GIVEN
from shortlist.export.device.stages import PostRanker, build_postranker
from shortlist.export.device.vector_space import VectorSpace
from shortlist.export.item_table import read_item_table
from shortlist.export.manifest import FETCH_AGAIN, MANIFEST, DeviceManifest
from shortlist.export.tables import Float32Array, decode_table


@dataclass(frozen=True, eq=False)
class Loaded:
    """What a device holds.

    Args:
        manifest: as it was read.
        items: the item table.
        inputs: of the models.
        retrievers: the ways to find candidates.
        ranker: orders them, or None.
        postrank: the last changes.
        units: `[rows, dim]` vectors of length one that items are compared by, or None.
    """

    manifest: DeviceManifest
    items: Items
    inputs: Inputs
    retrievers: tuple[Retriever, ...]
    ranker: Ranker | None
    postrank: tuple[PostRanker, ...]
    units: Float32Array | None


def load_export(folder: Path) -> Loaded:
    """Read and verify an export.

    Args:
        folder: of the export.

    Raises:
        BundleError: a file is missing, damaged, newer, or does not fit the others.
        ConfigError: ONNX Runtime is not installed.
    """
    manifest = DeviceManifest.read(folder)
    parts = _Parts(folder, manifest)
    items, tables = parts.items(), {name: parts.table(name) for name in manifest.tables}
    inputs = Inputs(manifest.inputs, tables)
    vectors = None if manifest.diversity_table is None else tables[manifest.diversity_table]
    where = str(folder / MANIFEST)
    return Loaded(
        manifest=manifest,
        items=items,
        inputs=inputs,
        retrievers=parts.retrievers(inputs, tables),
        ranker=parts.ranker(inputs, tables),
        postrank=tuple(
            build_postranker(each, items, tables, vectors, where=where) for each in manifest.postrank
        ),
        units=None if vectors is None else normalized(vectors),
    )


class _Parts:
    """Builds what the files hold; every file is read and verified once."""

    def __init__(self, folder: Path, manifest: DeviceManifest) -> None:
        self.manifest = manifest
        self.content = {name: each.read(folder) for name, each in manifest.files.items()}
        self.paths = {name: str(folder / each.path) for name, each in manifest.files.items()}

    def items(self) -> Items:
        described = self.manifest.items
        where = self.paths[described.file]
        try:
            ids, columns = read_item_table(self.content[described.file], count=described.count)
        except Error as error:
            raise BundleError(error.what, where=where, remedy=error.remedy) from error
        return Items(ids, columns, described.columns, where=where)

    def table(self, name: str) -> Float32Array:
        described = self.manifest.tables[name]
        try:
            return decode_table(
                self.content[described.file], described.encoding, rows=described.rows, dim=described.dim
            )
        except Error as error:
            raise BundleError(error.what, where=self.paths[described.file], remedy=error.remedy) from error

    def retrievers(self, inputs: Inputs, tables: Mapping[str, Float32Array]) -> tuple[Retriever, ...]:
        built: list[Retriever] = []
        for each in self.manifest.retrieve:
            table = tables[each.table]
            if each.model is not None:
                space = VectorSpace(table)
                model = ExportedModel(
                    space.rough.after(self.content[each.model]),
                    inputs=inputs.names(each.inputs),
                    outputs=["query"],
                    more=GIVEN,
                    where=self.paths[each.model],
                )
                built.append(Nearest(each.name, each.k, model, each.inputs, space))
            elif table.shape[1] != 1:
                raise BundleError(
                    f"the popularity of {each.name!r} has {table.shape[1]} numbers an item, not one",
                    where=self.paths[self.manifest.tables[each.table].file],
                    remedy=FETCH_AGAIN,
                )
            else:
                built.append(Popular(each.name, each.k, np.ascontiguousarray(table[:, 0])))
        return tuple(built)

    def ranker(self, inputs: Inputs, tables: Mapping[str, Float32Array]) -> Ranker | None:
        rank = self.manifest.rank
        if rank is None:
            return None
        table = None if rank.table is None else tables[rank.table]
        fed = [*inputs.names(rank.inputs), *["items"] * (table is not None), *["scores"] * bool(rank.scores)]
        outputs = ["ranked", *["calibrated"] * rank.calibrated]
        model = ExportedModel(
            self.content[rank.model], inputs=fed, outputs=outputs, where=self.paths[rank.model]
        )
        return Ranker(model, rank.inputs, table, rank.scores, rank.keep)
