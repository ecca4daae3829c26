"""Reliability diagrams as SVG: a picture that needs no plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

from shortlist.calibration.reliability_bins import Reliability
from shortlist.errors import ConfigError

SIDE, MARGIN = 360, 56  # of the square that holds the curves, and around it, in pixels
COLOURS = ("#c44e52", "#4c72b0", "#55a868", "#8172b3", "#937860", "#da8bc3")
STEPS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # between two ticks


def reliability_diagram(curves: Mapping[str, Reliability]) -> str:
    """Draw what was predicted against what was observed; on the diagonal, probabilities come true.

    Args:
        curves: by the name in the legend; at most six.

    Returns:
        An SVG document. The axes end where the curves do.

    Raises:
        ConfigError: there is no curve, or there are more than six.
    """
    if not 0 < len(curves) <= len(COLOURS):
        raise ConfigError(f"there are {len(curves)} curves", remedy=f"pass 1 to {len(COLOURS)}")
    highest = max(float(max(each.predicted.max(), each.observed.max())) for each in curves.values())
    step = next((step for step in STEPS if 5 * step >= highest), STEPS[-1])
    count = max(1, math.ceil(highest / step - 1e-9))
    limit = count * step
    parts = _frame([number * step for number in range(count + 1)], limit)
    for place, (name, curve) in enumerate(curves.items()):
        parts += _curve(name, curve, limit, place)
    width, height = SIDE + 2 * MARGIN, SIDE + 2 * MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="white"/>', *parts, "</svg>\n"])


def _frame(ticks: list[float], limit: float) -> list[str]:
    """The axes, their ticks and names, and the diagonal."""
    low, high = MARGIN, MARGIN + SIDE
    parts = [
        f'<rect x="{low}" y="{low}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888"/>',
        f'<line x1="{low}" y1="{high}" x2="{high}" y2="{low}" stroke="#bbb" stroke-dasharray="4 4"/>',
        f'<text x="{low + SIDE / 2:g}" y="{high + 40}" text-anchor="middle">predicted</text>',
        f'<text x="16" y="{low + SIDE / 2:g}" text-anchor="middle" '
        f'transform="rotate(-90 16 {low + SIDE / 2:g})">observed</text>',
    ]
    for tick in ticks:
        x, y = _point(tick, tick, limit)
        parts.append(f'<text x="{x:.1f}" y="{high + 18}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{low - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    return parts


def _curve(name: str, curve: Reliability, limit: float, place: int) -> list[str]:
    points = [
        _point(*pair, limit) for pair in zip(curve.predicted.tolist(), curve.observed.tolist(), strict=True)
    ]
    colour, legend = COLOURS[place], MARGIN + 18 * (place + 1)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points),
        f'<circle cx="{MARGIN + 14}" cy="{legend - 4}" r="4" fill="{colour}"/>',
        f'<text x="{MARGIN + 24}" y="{legend}">{escape(name)} (ECE {curve.expected_error:.4f})</text>',
    ]


def _point(predicted: float, observed: float, limit: float) -> tuple[float, float]:
    return MARGIN + SIDE * predicted / limit, MARGIN + SIDE * (1 - observed / limit)
