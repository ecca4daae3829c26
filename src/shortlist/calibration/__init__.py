"""From scores to probabilities that come true, and pictures of how true they are."""

from shortlist.calibration.calibrator import Calibrator
from shortlist.calibration.diagram import reliability_diagram
from shortlist.calibration.isotonic import Isotonic
from shortlist.calibration.logistic import Platt, Temperature
from shortlist.calibration.reliability_bins import Reliability, reliability
from shortlist.calibration.spline import Spline
from shortlist.calibration.storage import load_calibrator, save_calibrator

__all__ = [
    "Calibrator",
    "Isotonic",
    "Platt",
    "Reliability",
    "Spline",
    "Temperature",
    "load_calibrator",
    "reliability",
    "reliability_diagram",
    "save_calibrator",
]
