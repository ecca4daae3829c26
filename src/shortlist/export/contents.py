"""What an export will consist of while it is put together: tables, inputs and models, each thing once."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from shortlist.export.manifest import DeviceInput

Float32Array = NDArray[np.float32]
RESERVED = (
    "items",
    "scores",
    "query",
    "ranked",
    "calibrated",
)  # what models call their other inputs and outputs


@dataclass(eq=False)
class Contents:
    """Tables, inputs and models by name.

    Args:
        rows: `[count + 1]` int64 item indices by device row.
        tables: `[count + 1, dim]` float32 each.
        inputs: of all models.
        models: ONNX models.
        flatbuffers: the same for LiteRT, by the name of the ONNX model.
        litert: whether they are wanted.
    """

    rows: NDArray[np.int64]
    tables: dict[str, Float32Array] = field(default_factory=dict)
    inputs: dict[str, DeviceInput] = field(default_factory=dict)
    models: dict[str, bytes] = field(default_factory=dict)
    flatbuffers: dict[str, bytes] = field(default_factory=dict)
    litert: bool = False

    def add_table(self, name: str, values: Float32Array) -> str:
        """Add a table; one with the same numbers is not stored twice.

        Args:
            name: what to call it, if the name is free.
            values: `[count + 1, dim]` float32.

        Returns:
            Its name.
        """
        for known, table in self.tables.items():
            if np.array_equal(table, values):
                return known
        name = _free(name, self.tables)
        self.tables[name] = values
        return name

    def add_input(self, wanted: DeviceInput) -> str:
        """Add an input; one that is fed the same is not asked for twice.

        Args:
            wanted: the input; its name is taken if it is free.

        Returns:
            Its name.
        """
        for known in self.inputs.values():
            if replace(known, name=wanted.name) == wanted:
                return known.name
        name = _free(wanted.name, (*self.inputs, *RESERVED))
        self.inputs[name] = replace(wanted, name=name)
        return name

    def add_model(self, name: str, model: bytes) -> str:
        """Add a model.

        Args:
            name: what to call it, if the name is free.
            model: in ONNX.

        Returns:
            Its name.
        """
        stem = _free(name, [each.removesuffix(".onnx") for each in self.models])
        self.models[f"{stem}.onnx"] = model
        return f"{stem}.onnx"


def _free(name: str, taken: Container[str]) -> str:
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
