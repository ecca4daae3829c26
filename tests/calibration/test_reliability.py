"""Reliability: bins that add up, errors that agree with a slow count, and a picture of them."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
import torch
from calibration.calibration_cases import overconfident
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import calibration as reference

from shortlist.calibration import Reliability, reliability, reliability_diagram
from shortlist.errors import ConfigError, DataError, ShapeError

EXAMPLES = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]) | st.floats(0, 1),
        st.sampled_from([0.0, 1.0]),
        st.sampled_from([1.0, 2.0, 0.5]),
    ),
    min_size=1,
    max_size=50,
)


@settings(max_examples=50, deadline=None)
@given(examples=EXAMPLES, bins=st.sampled_from([1, 2, 8, 16]))
def test_the_expected_error_over_equal_widths_is_that_of_a_slow_count(examples, bins):
    chances, labels, weights = (
        torch.tensor(column, dtype=torch.float64) for column in zip(*examples, strict=True)
    )
    found = reliability(chances, labels, bins=bins, equal="width", sample_weight=weights)
    slow = reference.expected_error(chances.tolist(), labels.tolist(), weights.tolist(), bins)
    assert found.expected_error == pytest.approx(slow, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(examples=EXAMPLES, bins=st.integers(1, 20), equal=st.sampled_from(["count", "width"]))
def test_bins_add_up_to_all_examples(examples, bins, equal):
    chances, labels, weights = (
        torch.tensor(column, dtype=torch.float64) for column in zip(*examples, strict=True)
    )
    found = reliability(chances, labels, bins=bins, equal=equal, sample_weight=weights)
    assert 1 <= len(found.weights) <= bins
    assert float(found.weights.sum()) == pytest.approx(float(weights.sum()))
    assert float(found.weights @ found.predicted) == pytest.approx(float(weights @ chances))
    assert float(found.weights @ found.observed) == pytest.approx(float(weights @ labels))
    assert bool((found.predicted.diff() > 0).all())
    assert found.largest_error >= found.expected_error - 1e-12


def test_equal_counts_divide_the_examples_evenly_and_ties_stay_together():
    chances = torch.linspace(0.001, 0.01, 100)
    found = reliability(chances, torch.zeros(100), bins=4)
    assert found.weights.tolist() == [25, 25, 25, 25]
    tied = torch.tensor([0.1] * 60 + [0.2] * 40)
    assert reliability(tied, torch.zeros(100), bins=10).weights.tolist() == [60, 40]


def test_true_probabilities_have_a_small_error_and_overconfident_ones_a_large_one():
    scores, labels = overconfident(20_000, seed=0)
    assert reliability(torch.sigmoid(scores / 3), labels).expected_error < 0.012
    assert reliability(torch.sigmoid(scores), labels).expected_error > 0.08


def test_it_prints_its_bins():
    lines = str(reliability(torch.tensor([0.25, 0.75]), torch.tensor([0.0, 1.0]), bins=2)).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["0.2500", "0.0000", "1"],
        ["0.7500", "1.0000", "1"],
        ["expected", "calibration", "error", "0.2500"],
    ]


@pytest.mark.parametrize(
    ("chances", "labels", "settings", "error", "message"),
    [
        ([2.0], [1.0], {}, DataError, r"a probability is 2.0, outside \[0, 1\].*sigmoid"),
        ([0.5], [3.0], {}, DataError, r"a label is 3.0, outside \[0, 1\]"),
        ([float("nan")], [1.0], {}, DataError, "not a number"),
        ([], [], {}, DataError, "no example"),
        ([0.5], [1.0], {"sample_weight": torch.zeros(1)}, DataError, "no example"),
        ([0.5], [[1.0]], {}, ShapeError, "squeeze"),
        ([0.5], [1.0], {"bins": 0}, ConfigError, "bins is 0"),
        ([0.5], [1.0], {"equal": "with"}, ConfigError, "did you mean 'width'"),
    ],
)
def test_what_cannot_be_compared_is_refused(chances, labels, settings, error, message):
    with pytest.raises(error, match=message):
        reliability(torch.tensor(chances), torch.tensor(labels), **settings)


def bins(*rows: tuple[float, float, float]) -> Reliability:
    return Reliability(*torch.tensor(rows, dtype=torch.float64).T)


def test_the_diagram_is_a_picture_of_every_curve_within_its_frame():
    curves = {"raw <1>": bins((0.1, 0.3, 9), (0.5, 0.9, 9)), "mended": bins((0.2, 0.2, 9))}
    root = ET.fromstring(reliability_diagram(curves))
    space = {"s": "http://www.w3.org/2000/svg"}
    assert len(root.findall("s:polyline", space)) == 2
    points = [(float(c.get("cx")), float(c.get("cy"))) for c in root.findall("s:circle", space)]
    assert len(points) == 3 + 2  # and one each in the legend
    side = float(root.get("width"))
    assert all(0 <= x <= side and 0 <= y <= side for x, y in points)
    texts = [each.text for each in root.findall("s:text", space)]
    assert "raw <1> (ECE 0.3000)" in texts
    assert {"predicted", "observed", "0", "1"} <= set(texts)


def test_the_axes_end_where_the_curves_do():
    root = ET.fromstring(reliability_diagram({"clicks": bins((0.004, 0.006, 9), (0.01, 0.013, 9))}))
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "0.015" in texts
    assert "1" not in texts


def test_no_curve_and_too_many_are_refused():
    one = bins((0.1, 0.1, 1))
    with pytest.raises(ConfigError, match="there are 0 curves"):
        reliability_diagram({})
    with pytest.raises(ConfigError, match="there are 7 curves"):
        reliability_diagram({str(number): one for number in range(7)})
