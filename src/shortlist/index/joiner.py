"""New vectors of an approximate index on their way into its leaves, in the background."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import replace

from shortlist.index.effort import EffortCurve
from shortlist.index.leaf_build import measured
from shortlist.index.leaf_state import LeafState
from shortlist.kernels.leaves import Part

# Fresh vectors that a search looks at one by one, before they join the leaves.
FRESH_ROWS = 4096
FRESH_SHARE = 0.02

Joined = tuple[Part, EffortCurve | None]


class Joiner:
    """Joins fresh vectors to the leaves on a thread of its own, one state of an index at a time.

    Args:
        adopt: called on that thread with the state that was taken and what became of it; None if it failed.
    """

    def __init__(self, adopt: Callable[[LeafState, Joined | None], None]) -> None:
        self._adopt = adopt
        self._thread: threading.Thread | None = None

    def take(self, state: LeafState) -> LeafState:
        """Start to join a state's fresh vectors when there are many, unless that is going on.

        Args:
            state: whose writers' lock is held.

        Returns:
            The state that remembers what is being joined, or the same.
        """
        if state.joining or state.fresh_rows <= max(FRESH_ROWS, FRESH_SHARE * state.base.live):
            return state
        taken = replace(state, joining=len(state.fresh))
        thread = threading.Thread(target=self._join, args=(taken,), daemon=True)
        thread.start()
        self._thread = thread  # only now: who waits takes a thread that has not started for one that is done
        return taken

    def wait(self) -> None:
        """Wait until nothing is joining any more."""
        while (thread := self._thread) is not None and thread.is_alive():
            thread.join()

    def _join(self, taken: LeafState) -> None:
        try:
            known = None if taken.needs_training else taken.curve
            joined = measured(taken.settings, taken.join(), taken.queries, known=known)
        except Exception as error:  # the index still answers, only slower
            warnings.warn(
                f"could not join new vectors to the leaves: {error!r}", RuntimeWarning, stacklevel=1
            )
            self._adopt(taken, None)
        else:
            self._adopt(taken, joined)
