"""Calibrators: probabilities that come true, in the order of the scores, or a clear refusal."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from calibration.calibration_cases import CALIBRATORS, log_loss, overconfident
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference import calibration as reference

from shortlist.calibration import Calibrator, Isotonic, Platt, Spline, Temperature
from shortlist.errors import DataError, NotFittedError, ShapeError

kinds = pytest.mark.parametrize("kind", CALIBRATORS)
EXAMPLES = st.lists(
    st.tuples(
        st.sampled_from([-3.0, -1.25, -1.0, 0.0, 0.5, 2.0, 40.0]) | st.floats(-5, 5, width=32),
        st.sampled_from([0.0, 1.0]) | st.floats(0, 1, width=32),
        st.sampled_from([1.0, 2.0, 0.25]),
    ),
    min_size=2,
    max_size=40,
)


def columns(examples: list[tuple[float, float, float]]) -> list[torch.Tensor]:
    return [torch.tensor(column, dtype=torch.float64) for column in zip(*examples, strict=True)]


def fitted(kind: type[Calibrator], examples: list[tuple[float, float, float]]) -> Calibrator:
    """A calibrator of examples, or no test where these cannot teach it."""
    scores, labels, weights = columns(examples)
    try:
        return kind().fit(scores, labels, sample_weight=weights)
    except DataError:
        assume(False)
        raise


@kinds
def test_it_lowers_the_loss_of_scores_that_are_too_sure_on_examples_it_has_not_seen(kind):
    calibrator = kind().fit(*overconfident(4000, seed=0))
    scores, labels = overconfident(4000, seed=1)
    raw, best = log_loss(torch.sigmoid(scores), labels), log_loss(torch.sigmoid(scores / 3), labels)
    assert raw > best + 0.15
    assert log_loss(calibrator(scores), labels) < best + 0.01


@kinds
def test_it_hardly_raises_the_loss_of_scores_that_are_true_already(kind):
    calibrator = kind().fit(*overconfident(4000, seed=2, factor=1))
    scores, labels = overconfident(4000, seed=3, factor=1)
    price = 0.015 if kind is Isotonic else 0.003  # of what there was no need to learn
    assert log_loss(calibrator(scores), labels) < log_loss(torch.sigmoid(scores), labels) + price


@kinds
@settings(max_examples=30, deadline=None)
@given(examples=EXAMPLES)
def test_it_keeps_the_order_and_answers_probabilities(kind, examples):
    calibrator = fitted(kind, examples)
    found = calibrator(torch.linspace(-60, 60, 999, dtype=torch.float64))
    assert bool(((found >= 0) & (found <= 1)).all())
    assert float(found.diff().min()) >= -1e-12


@kinds
@settings(max_examples=10, deadline=None)
@given(examples=EXAMPLES)
def test_the_order_of_the_examples_does_not_matter(kind, examples):
    scores = columns(examples)[0]
    one, other = fitted(kind, examples)(scores), fitted(kind, examples[::-1])(scores)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-4 if kind is Spline else 1e-8)


@kinds
def test_an_example_of_weight_two_counts_as_two(kind):
    scores, labels = overconfident(200, seed=4)
    weights = torch.arange(200) % 3
    weighed = kind().fit(scores, labels, sample_weight=weights)
    repeated = kind().fit(scores.repeat_interleave(weights), labels.repeat_interleave(weights))
    tolerance = 0.02 if kind is Spline else 1e-9  # where its pieces begin depends on the number of rows
    torch.testing.assert_close(weighed(scores), repeated(scores), rtol=0, atol=tolerance)


@kinds
def test_scores_of_another_unit_and_level_are_no_harder(kind):
    scores, labels = overconfident(1000, seed=5)
    level = 0.0 if kind is Temperature else 1e5
    once, again = kind().fit(scores, labels), kind().fit(1e3 * scores + level, labels)
    torch.testing.assert_close(once(scores), again(1e3 * scores + level), rtol=0, atol=1e-4)


@kinds
def test_the_answer_has_the_shape_and_the_precision_of_the_scores(kind):
    calibrator = kind().fit(*overconfident(200, seed=0))
    assert calibrator(torch.zeros(2, 3)).shape == (2, 3)
    assert calibrator(torch.zeros(3)).dtype == torch.float32
    assert calibrator(torch.zeros(3, dtype=torch.float64)).dtype == torch.float64
    assert calibrator(torch.zeros(0)).shape == (0,)
    ends = calibrator(torch.tensor([-math.inf, 0.0, math.inf, math.nan]))
    assert 0 <= ends[0] < ends[1] < ends[2] <= 1
    assert ends[3].isnan()


@kinds
def test_scores_that_tell_the_labels_apart_without_a_fault_call_for_no_certainty(kind):
    scores = torch.tensor([-2.0, -1.0, 1.0, 2.0])
    found = kind().fit(scores, (scores > 0).float())(scores)
    assert bool(((found > 0.01) & (found < 0.99)).all())
    assert float(found[-1] - found[0]) > 0.3


@settings(max_examples=60, deadline=None)
@given(examples=EXAMPLES)
def test_isotonic_is_the_best_function_that_does_not_fall(examples):
    calibrator = fitted(Isotonic, examples)
    scores, labels, weights = columns(examples)
    best = reference.pool_adjacent_violators(scores.tolist(), labels.tolist(), weights.tolist())
    positives = float((weights * labels).sum())
    low, high = 1 / (float(weights.sum()) - positives + 2), (positives + 1) / (positives + 2)
    expected = [min(max(best[score], low), high) for score in scores.tolist()]
    np.testing.assert_allclose(calibrator(scores).numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("kind", [Temperature, Platt])
def test_one_and_two_numbers_are_those_of_the_greatest_likelihood(kind):
    scores, labels = overconfident(600, seed=6)
    calibrator = kind().fit(scores, labels)
    positives = float(labels.sum())
    low, high = 1 / (600 - positives + 2), (positives + 1) / (positives + 2)
    targets = (low + labels * (high - low)).tolist()

    def loss(slope: float, shift: float) -> float:
        return reference.log_loss([slope * each + shift for each in scores.tolist()], targets, [1.0] * 600)

    slope = 1 / calibrator.temperature if isinstance(calibrator, Temperature) else calibrator.slope
    shift = 0.0 if isinstance(calibrator, Temperature) else calibrator.shift
    assert slope == pytest.approx(1 / 3, abs=0.15)
    for change in (-1e-4, 1e-4):
        assert loss(slope + change, shift) > loss(slope, shift)
        if kind is Platt:
            assert loss(slope, shift + change) > loss(slope, shift)


def curved(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores from -3 to 3, labels, and their true rates: a curve that no straight line of logits follows."""
    draw = torch.Generator().manual_seed(seed)
    scores = torch.rand(count, generator=draw, dtype=torch.float64) * 6 - 3
    rates = 0.1 + 0.8 * (scores > 0) * scores / 3
    return scores, (torch.rand(count, generator=draw, dtype=torch.float64) < rates).double(), rates


def test_a_spline_follows_a_bend_that_a_line_cannot():
    scores, labels, rates = curved(20_000, seed=0)
    spline, line = Spline().fit(scores, labels), Platt().fit(scores, labels)
    assert float((spline(scores) - rates).abs().mean()) < 0.015
    assert float((line(scores) - rates).abs().mean()) > 0.03


def test_a_spline_of_few_labels_is_nearly_a_line():
    scores, labels = overconfident(40, seed=7)
    spline, line = Spline().fit(scores, labels), Platt().fit(scores, labels)
    assert float((spline(scores) - line(scores)).abs().max()) < 0.1


def test_a_spline_is_smooth_and_goes_on_in_a_straight_line_of_logits():
    spline = Spline().fit(*curved(5000, seed=1)[:2])
    logits = torch.logit(spline(torch.linspace(-4, 4, 8001, dtype=torch.float64)))
    slopes = logits.diff() / 1e-3
    assert float(slopes.diff().abs().max()) < 0.05
    assert float(slopes[-900:].diff().abs().max()) < 1e-6
    assert float(slopes[-1]) > 0


@pytest.mark.parametrize("kind", [Isotonic, Spline])
def test_scores_that_say_nothing_or_the_reverse_get_the_mean_rate(kind):
    scores = torch.linspace(-1, 1, 100)
    labels = (scores < -0.4).float()
    found = kind().fit(scores, labels)(scores)
    torch.testing.assert_close(found, torch.full_like(found, float(labels.mean())), rtol=0, atol=0.02)


@kinds
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([1.0, 2.0], [0.0, 0.0], "none of the 2 labels is 1"),
        ([1.0, 2.0], [1.0, 1.0], "none of the 2 labels is 0"),
        ([], [], "none of the 0 labels is 1"),
        ([1.0, math.nan], [0.0, 1.0], "1 of 2 scores are not a number"),
        ([1.0, math.inf], [0.0, 1.0], "a score is infinite"),
        ([1.0, 2.0], [0.0, 5.0], r"a label is 5.0, outside \[0, 1\].*ratings >= 4"),
        ([1.0, 2.0], [math.nan, 1.0], "1 of 2 labels are not a number"),
    ],
)
def test_examples_that_teach_nothing_are_refused(kind, scores, labels, message):
    with pytest.raises(DataError, match=message):
        kind().fit(torch.tensor(scores), torch.tensor(labels))


@kinds
def test_weights_decide_which_labels_are_there(kind):
    scores, labels = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 1.0, 1.0])
    with pytest.raises(DataError, match="none of the 2 labels is 0"):
        kind().fit(scores, labels, sample_weight=torch.tensor([0.0, 1.0, 1.0]))
    with pytest.raises(DataError, match="negative or non-finite weight"):
        kind().fit(scores, labels, sample_weight=torch.tensor([1.0, -1.0, 1.0]))
    with pytest.raises(ShapeError, match="sample_weight"):
        kind().fit(scores, labels, sample_weight=torch.ones(2))


@kinds
def test_a_column_of_scores_against_a_row_of_labels_is_refused(kind):
    with pytest.raises(ShapeError, match="squeeze"):
        kind().fit(torch.zeros(3, 1), torch.zeros(3))


@kinds
def test_it_says_nothing_before_it_has_seen_labels(kind):
    with pytest.raises(NotFittedError, match=f"{kind.__name__} has seen no labels"):
        kind()(torch.zeros(3))


@pytest.mark.parametrize("kind", [Temperature, Platt])
def test_a_line_refuses_labels_that_fall(kind):
    scores = torch.linspace(-1, 1, 20)
    with pytest.raises(DataError, match="do not rise with the scores"):
        kind().fit(scores, (scores < 0).float())


@pytest.mark.parametrize("kind", [Platt, Spline])
def test_scores_that_are_all_equal_are_refused_where_they_are_of_no_use(kind):
    with pytest.raises(DataError, match="all scores are 7"):
        kind().fit(torch.full((4,), 7.0), torch.tensor([0.0, 1.0, 1.0, 1.0]))
    with pytest.raises(DataError, match="all scores are 0"):
        Temperature().fit(torch.zeros(4), torch.tensor([0.0, 1.0, 1.0, 1.0]))


def test_isotonic_of_equal_scores_is_their_rate():
    found = Isotonic().fit(torch.full((4,), 7.0), torch.tensor([0.0, 1.0, 1.0, 0.0]))
    torch.testing.assert_close(found(torch.tensor([6.0, 7.0, 8.0])), torch.full((3,), 0.5))
