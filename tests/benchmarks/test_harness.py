"""Figures, their JSON and their tables: what every benchmark reports in the same way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.__main__ import NAMES
from benchmarks.harness import Figure, interleave, ratio_of_medians, report
from benchmarks.record import README, record

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("value", "at_least", "holds"),
    [(5.0, True, True), (4.99, True, False), (1500.0, False, True), (1501.0, False, False)],
)
def test_a_target_is_a_floor_or_a_ceiling_and_meeting_it_exactly_is_enough(
    value: float, at_least: bool, holds: bool
) -> None:
    target = 5.0 if at_least else 1500.0
    assert Figure("x", value, target=target, at_least=at_least).holds is holds


def test_a_figure_without_a_target_neither_holds_nor_fails() -> None:
    assert Figure("x", 1.0).holds is None


def test_a_value_that_is_not_a_number_never_holds() -> None:
    assert Figure("x", float("nan"), target=1.0).holds is False
    assert Figure("x", float("nan"), target=1.0, at_least=False).holds is False


def test_rounds_take_turns_and_the_warm_up_is_not_counted() -> None:
    calls: list[str] = []

    def work(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    taken = interleave({"a": lambda: work("a"), "b": lambda: work("b")}, repeats=2)
    assert calls == ["a", "b"] * 3
    assert taken == {"a": [3.0, 5.0], "b": [4.0, 6.0]}
    calls.clear()
    interleave({"a": lambda: work("a")}, repeats=2, warm_up=False)
    assert calls == ["a", "a"]


def test_a_ratio_is_of_medians_and_its_spread_is_round_by_round() -> None:
    ratio, spread = ratio_of_medians([10.0, 20.0, 90.0], [1.0, 4.0, 10.0])
    assert (ratio, spread) == (5.0, (5.0, 10.0))


def test_the_json_has_the_form_that_readers_rely_on(tmp_path: Path) -> None:
    figures = [Figure("speed", 6.0, "rows/s", 5.0, spread=(5.5, 6.5)), Figure("share", 0.5)]
    file = tmp_path / "figures.json"
    report("encode", figures, seed=3, quick=True, json_file=file)
    document = json.loads(file.read_text())
    assert list(document) == ["benchmark", "versions", "machine", "seed", "quick", "figures"]
    assert (document["benchmark"], document["seed"], document["quick"]) == ("encode", 3, True)
    assert {"python", "torch", "polars"} <= set(document["versions"])
    assert document["machine"]["cores"] >= 1
    form = {"name": "speed", "value": 6.0, "unit": "rows/s", "target": 5.0, "holds": True}
    assert form.items() <= document["figures"][0].items()
    assert document["figures"][1]["target"] is document["figures"][1]["holds"] is None


def test_recording_replaces_the_block_of_its_name_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text("before\n<!-- a -->\nstale\n<!-- /a -->\nbetween\n<!-- b -->\nkept\n<!-- /b -->\nafter\n")
    record("a", [Figure("speedup", 6.25, "", 5.0, spread=(6, 7))], file=file)
    text = file.read_text()
    assert text.startswith("before\n<!-- a -->\n")
    assert text.endswith("\n<!-- /a -->\nbetween\n<!-- b -->\nkept\n<!-- /b -->\nafter\n")
    assert "| speedup | 6.25 |  | ≥ 5 | yes | 6–7 |" in text
    assert "stale" not in text
    record("a", [Figure("speedup", 7.0)], file=file)
    assert "6.25" not in file.read_text()


@pytest.mark.parametrize(
    "text", ["no markers", "<!-- /a --> <!-- a -->", "<!-- a --> <!-- a --> <!-- /a -->"]
)
def test_recording_without_its_block_is_an_error_and_writes_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "README.md"
    file.write_text(text)
    with pytest.raises(ValueError, match="<!-- a -->"):
        record("a", [Figure("x", 1.0)], file=file)
    assert file.read_text() == text


def test_the_readme_has_a_block_for_every_benchmark_that_exists() -> None:
    text = README.read_text(encoding="utf-8")
    for name in NAMES:
        assert (ROOT / "benchmarks" / f"{name}.py").is_file()
        assert text.count(f"<!-- {name} -->") == text.count(f"<!-- /{name} -->") == 1


def test_a_quick_run_is_never_recorded() -> None:
    before = README.read_bytes()
    command = [sys.executable, "-m", "benchmarks", "import_time", "--quick", "--record"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--quick" in done.stderr
    assert README.read_bytes() == before
