"""Writing a benchmark's table into README.md, between the markers that bear its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import COLUMNS, Figure, machine, row, versions

README = Path(__file__).with_name("README.md")


def record(name: str, figures: Sequence[Figure], *, file: Path = README) -> None:
    """Replace the block between `<!-- NAME -->` and `<!-- /NAME -->`, and nothing else.

    Args:
        name: the benchmark.
        figures: those of a full run.
        file: the Markdown file.

    Raises:
        ValueError: the file has not exactly one such block.
    """
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    text = file.read_text(encoding="utf-8")
    if text.count(first) != 1 or text.count(last) != 1 or text.index(first) > text.index(last):
        raise ValueError(f"{file} needs one line {first} and, after it, one line {last}")
    before, rest = text.split(first)
    _, after = rest.split(last)
    file.write_text(f"{before}{first}\n{block(figures)}\n{last}{after}", encoding="utf-8")


def block(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table, and a line that says where they were measured.

    Args:
        figures: what was measured.
    """
    place = machine()
    packages = ", ".join(f"{package} {version}" for package, version in versions().items())
    rows = [COLUMNS, tuple("---" for _ in COLUMNS), *map(row, figures)]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    return f"{place['processor']}, {place['cores']} cores, {place['system']}; {packages}.\n\n{table}"
