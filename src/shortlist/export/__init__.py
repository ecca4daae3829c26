"""A trained funnel for where the person is: no server, no network."""

from __future__ import annotations

__all__: list[str] = []
