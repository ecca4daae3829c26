"""Funnels side by side: what an experiment is, and the one in progress."""
