"""How long a batch will take."""

from __future__ import annotations

import random

import pytest

from shortlist.serving.engine.pace import Pace


def test_a_fixed_part_and_a_part_for_each_job_are_told_apart():
    pace, draw = Pace(32), random.Random(1)
    for _ in range(200):
        jobs = draw.randint(1, 32)
        pace.note(jobs, 0.002 + 0.0005 * jobs)
    assert pace.seconds(10) == pytest.approx(0.007, rel=0.05)
    assert pace.ahead(10) == pytest.approx(0.005, rel=0.05)
    assert pace.ahead(40) == pytest.approx(0.022, rel=0.05)  # one whole batch goes first


def test_batches_that_were_alike_show_nothing_of_larger_ones():
    pace = Pace(8)
    for _ in range(20):
        pace.note(1, 0.02)
    assert pace.ahead(7) == 0
    assert pace.ahead(17) == pytest.approx(0.04)


def test_nothing_is_ahead_before_anything_has_been_done():
    assert Pace(8).ahead(100) == Pace(8).seconds(3) == 0


def test_a_machine_that_has_become_slower_is_noticed():
    pace, draw = Pace(32), random.Random(2)
    for slower in (1, 3):
        for _ in range(100):
            jobs = draw.randint(1, 16)
            pace.note(jobs, slower * (0.002 + 0.0005 * jobs))
    assert pace.seconds(8) == pytest.approx(0.018, rel=0.1)


def test_a_part_is_never_negative():
    pace = Pace(4)
    for jobs, seconds in ((1, 0.9), (4, 0.1), (1, 0.8), (4, 0.05), (3, 0.2)):
        pace.note(jobs, seconds)
        assert pace.each >= 0
        assert pace.fixed >= 0
