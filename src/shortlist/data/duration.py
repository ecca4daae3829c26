"""Lengths of time as people write them: "90m", "12h", "30d", "2w"."""

from __future__ import annotations

import re

from shortlist.errors import ConfigError

SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
LONGEST = 1 << 62  # seconds; a sum of two of them still fits int64


def parse_duration(text: str, *, field: str = "duration") -> int:
    """Turn a length of time into seconds.

    Args:
        text: a positive whole number and a unit: `s`, `m` (minutes), `h`, `d` or `w`.
        field: name of the setting, for the message.

    Returns:
        Seconds.

    Raises:
        ConfigError: the text is anything else, zero, or too long to be counted.
    """
    remedy = 'write a positive whole number and a unit (s, m, h, d, w), such as "90m", "12h" or "30d"'
    match = re.fullmatch(r"\s*([0-9]+)\s*([smhdw])\s*", text) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(f"{field} is {text!r}, not a length of time", remedy=remedy)
    # A text of thousands of digits would be refused by int() itself, with another error.
    seconds = int(match[1]) * SECONDS[match[2]] if len(match[1]) < 20 else LONGEST
    if not 0 < seconds < LONGEST:
        raise ConfigError(f"{field} is {text!r}, {'too long' if seconds else 'zero'}", remedy=remedy)
    return seconds
