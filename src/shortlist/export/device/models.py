"""The exported models, run by ONNX Runtime with one thread."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shortlist.errors import BundleError, ConfigError
from shortlist.export.device.inputs import Feeds
from shortlist.export.manifest import FETCH_AGAIN

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class ExportedModel:
    """A model that was read from an export.

    Args:
        content: the bytes of the ONNX file.
        inputs: names of what will be fed; the model need not read all of it.
        outputs: names of what it must give.
        more: names of what is added to them, and not looked at.
        where: the file's path, for messages.

    Raises:
        ConfigError: ONNX Runtime is not installed.
        BundleError: the file is no model that it runs, or reads or gives something else.
    """

    def __init__(
        self,
        content: bytes,
        *,
        inputs: Collection[str],
        outputs: Sequence[str],
        where: str,
        more: Sequence[str] = (),
    ) -> None:
        self.where, self._outputs, self._all = where, list(outputs), [*outputs, *more]
        self._session = open_session(content, where)
        self._reads = [each.name for each in self._session.get_inputs()]
        gives = [each.name for each in self._session.get_outputs()]
        for what, named, known in (("reads", self._reads, inputs), ("does not give", self._outputs, gives)):
            if unknown := [each for each in named if each not in known]:
                raise BundleError(
                    f"the model {what} {', '.join(map(repr, unknown))}, other than its manifest says",
                    where=where,
                    remedy=FETCH_AGAIN,
                )

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        """Compute the outputs.

        Args:
            feeds: the inputs by name.

        Returns:
            The outputs in the order in which they were named, all finite; then what is added to them.

        Raises:
            BundleError: the inputs do not fit the model, or an output is not finite.
        """
        try:
            found: list[NDArray[Any]] = self._session.run(
                self._all, {name: feeds[name] for name in self._reads}
            )
        except Exception as error:  # ONNX Runtime's own classes, which share no base
            raise BundleError(
                f"the model cannot be run: {error}", where=self.where, remedy=FETCH_AGAIN
            ) from error
        for name, values in zip(self._outputs, found, strict=False):
            # The sum of squares is finite where all numbers are, but for enormous ones, and sooner found.
            if not math.isfinite(np.vdot(values, values)) and not np.isfinite(values).all():
                raise BundleError(
                    f"the model's {name} are not finite", where=self.where, remedy="train and export it again"
                )
        return found


def open_session(content: bytes, where: str) -> InferenceSession:
    """Open a model in ONNX Runtime, with one thread.

    Args:
        content: the model.
        where: its path, for messages.

    Raises:
        ConfigError: ONNX Runtime is not installed.
        BundleError: it is no model that ONNX Runtime reads.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            "a device needs ONNX Runtime, which is not installed",
            remedy="run: pip install 'shortlist[device]'",
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own classes, which share no base
        raise BundleError(
            f"the file is no model that ONNX Runtime reads: {error}", where=where, remedy=FETCH_AGAIN
        ) from error
