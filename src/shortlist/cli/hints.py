"""The next command to try, as a person would type it."""

from __future__ import annotations

from pathlib import Path

BUNDLE = Path("bundle")  # where `recommend` looks without being told


def recommend_command(bundle: Path, user: str | int, *options: str) -> list[str]:
    """The words of a `shortlist recommend`.

    Args:
        bundle: the folder of the bundle; named only where it is not the default.
        user: an id.
        options: such as `"--explain"`.
    """
    place = [] if bundle == BUNDLE else ["--bundle", str(bundle)]
    words = ["shortlist", "recommend", *place, *options]
    return [*words, *(["--"] if str(user).startswith("-") else []), str(user)]
