"""What runs on the device: needs NumPy and ONNX Runtime, and neither PyTorch, Polars nor PyArrow."""

from shortlist.export.device.answer import Recommended
from shortlist.export.device.device import Device
from shortlist.export.device.updates import Fetched, update

__all__ = ["Device", "Fetched", "Recommended", "update"]
