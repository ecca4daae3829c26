"""Calibrators as functions of tensors: the same probabilities."""

from __future__ import annotations

import pytest
import torch

from shortlist.calibration import Calibrator, Isotonic, Platt, Spline, Temperature
from shortlist.errors import ConfigError
from shortlist.export.dense_calibration import dense_calibration

SCORES = torch.linspace(-3, 4, 400)
LABELS = (torch.rand(400, generator=torch.Generator().manual_seed(0)) < torch.sigmoid(SCORES - 0.5)).float()


@pytest.mark.parametrize("kind", [Temperature, Platt, Isotonic, Spline])
def test_probabilities_are_the_calibrators_within_and_beyond_its_examples(kind):
    calibration = kind().fit(SCORES, LABELS)
    asked = torch.cat([torch.linspace(-9, 9, 301), SCORES[::7]])
    assert torch.allclose(dense_calibration(calibration)(asked), calibration(asked), atol=1e-5)


def test_a_single_step_is_one_probability():
    calibration = Isotonic().fit(torch.tensor([1.0, 1.0]), torch.tensor([0.0, 1.0]))
    asked = torch.tensor([-1.0, 1.0, 5.0])
    assert torch.allclose(dense_calibration(calibration)(asked), calibration(asked))


def test_a_calibration_of_ones_own_is_refused():
    class Own(Calibrator):
        array_names = ()

        def _learn(self, scores, labels, weights):
            return {}

        def _apply(self, scores):
            return scores

        def _is_sound(self):
            return True

    with pytest.raises(ConfigError, match="Own"):
        dense_calibration(Own())
