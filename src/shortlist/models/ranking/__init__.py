"""Rankers: of clicks, ratings and judged lists, by networks and by trees, for one objective or several."""
