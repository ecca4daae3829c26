"""Calibration of a funnel's ranker on events that it has not learned from."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch

from shortlist.calibration import Calibrator
from shortlist.data import Dataset
from shortlist.funnel.rank import ranking_lists
from shortlist.funnel.retrieve import Retriever
from shortlist.models import BoostedRanker, Ranker, score_events

SHARE = 0.2  # of the recent events, that a ranker of lists is calibrated on


def apart(recent: Dataset, *, seed: int) -> tuple[Dataset, Dataset]:
    """Divide the positive events of a part at random: some to learn from, some to calibrate on.

    Args:
        recent: a test part.
        seed: of the draw.

    Returns:
        Two views of the part that differ in the events that are asked for; histories are whole in both.
    """
    order = np.random.default_rng(seed).permutation(recent.targets)
    count = round(SHARE * len(order))
    parts = []
    for targets in (order[count:], order[:count]):
        part = copy.copy(recent)
        part.targets = np.sort(targets)
        parts.append(part)
    return parts[0], parts[1]


def calibrate_on_lists(
    calibration: Calibrator,
    ranker: Ranker | BoostedRanker,
    retrievers: Sequence[Retriever],
    held_out: Dataset,
) -> None:
    """Fit a calibration to the chance that a candidate is the item of the event.

    Args:
        calibration: to be fitted.
        ranker: trained on lists.
        retrievers: trained on the part before.
        held_out: the events; those whose item no retriever finds count too.

    Raises:
        DataError: no retriever finds any of the items, or scores do not rise with the labels.
    """
    lists = ranking_lists(retrievers, held_out, every=True)
    calibration.fit(ranker.score_candidates(lists.requests, lists.candidates), lists.labels)


def calibrate_on_events(calibration: Calibrator, ranker: Ranker, held_out: Dataset) -> None:
    """Fit a calibration to the clicks of labelled events.

    Args:
        calibration: to be fitted.
        ranker: trained on clicks.
        held_out: the events.

    Raises:
        DataError: all labels are alike, or scores do not rise with them.
    """
    assert held_out.labels is not None
    chosen = held_out.is_label
    labels, weights = (torch.from_numpy(each[chosen]) for each in (held_out.labels, held_out.weights))
    scores = score_events(ranker, held_out)[torch.from_numpy(chosen)]
    calibration.fit(scores, labels, sample_weight=weights)
