"""What a device would feed its models for some requests; exports are verified with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.data.ragged import Ragged, gather_windows
from shortlist.data.requests import Requests
from shortlist.export.manifest import DeviceInput

Feeds = dict[str, NDArray[Any]]


class Session:
    """An ONNX model in ONNX Runtime, on one thread.

    Args:
        model: the model.
    """

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, feeds: Feeds) -> list[NDArray[np.float32]]:
        """The outputs for some inputs."""
        return list(self.session.run(None, feeds))


def feeds_of(
    inputs: Sequence[DeviceInput],
    tables: Mapping[str, NDArray[np.float32]],
    requests: Requests,
    place: Tensor,
    *,
    fixed: bool = False,
) -> Feeds:
    """The inputs of a model for people of whom a history is known and nothing else.

    Args:
        inputs: of the model.
        tables: by name, as the device decodes them.
        requests: with histories of item indices, all of them on the device.
        place: `[num_items]` int64, the device row of each item.
        fixed: whether histories are padded to their length, not to that of the longest.
    """
    feeds: Feeds = {}
    batch = len(requests)
    for each in inputs:
        if each.kind == "category":
            feeds[each.name] = np.zeros(batch, np.int32)
        elif each.kind == "number":
            feeds[each.name] = np.full(batch, np.nan, np.float32)
        elif each.kind == "timestamp":
            feeds[each.name] = np.tile(np.array([0, -1], np.int32), (batch, 1))
        else:
            assert each.length is not None
            items, times = _latest(requests, each.length)
            width = each.length if fixed else max(int(items.lengths.max()), 1)
            mask = (torch.arange(width) < items.lengths[:, None]).float().numpy()
            if each.kind == "history":
                assert each.table is not None
                rows = place[items.values]
                padded = Ragged(rows, items.offsets).to_padded(width).numpy()
                feeds[each.name] = tables[each.table][padded] * mask[:, :, None]
                feeds[f"{each.name}_mask"] = mask
            else:
                seconds = times.to_padded(width)
                feeds[each.name] = ((seconds - seconds[:, :1]).numpy() * mask).astype(np.int32)
    return feeds


def _latest(requests: Requests, length: int) -> tuple[Ragged, Ragged]:
    history = requests.history
    lengths = history.lengths.clamp(max=length)
    first = history.offsets[1:] - lengths
    windows = [gather_windows(each.values, first, lengths) for each in (history, requests.history_times)]
    return windows[0], windows[1]
