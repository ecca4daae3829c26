"""How long a batch will take, learnt from those before it."""

from __future__ import annotations

SMOOTHING = 0.1  # weight of the last batch
DOUBT = 1.0  # jobs squared: how widely batches must differ in size before what they show is believed


class Pace:
    """A batch's time as a fixed part and a part for each job: a line through the last batches.

    As long as all of them were of one size, a full one is taken to cost no more than they did, so that many
    who come at once after a quiet time are let in.

    Args:
        size: jobs a batch at most.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._jobs = self._seconds = 0.0  # on average
        self._spread = self._slope = 0.0  # of jobs, and of jobs with seconds, around the averages
        self.fixed = self.each = 0.0

    def note(self, jobs: int, seconds: float) -> None:
        """A batch has been done.

        Args:
            jobs: in it.
            seconds: that it took.
        """
        first = not self._jobs
        more, longer = (0.0, 0.0) if first else (jobs - self._jobs, seconds - self._seconds)
        weight = 1.0 if first else SMOOTHING
        self._jobs += weight * (jobs - self._jobs)
        self._seconds += weight * (seconds - self._seconds)
        self._spread = (1 - weight) * (self._spread + weight * more * more)
        self._slope = (1 - weight) * (self._slope + weight * more * longer)
        slope = self._slope / (self._spread + DOUBT)
        self.each = min(max(slope, 0.0), self._seconds / self._jobs)
        self.fixed = self._seconds - self.each * self._jobs

    def seconds(self, jobs: int) -> float:
        """What a batch will take.

        Args:
            jobs: in it.
        """
        return self.fixed + self.each * jobs

    def ahead(self, jobs: int) -> float:
        """How much later a job is done for those before it, which it shares the last batch with.

        Args:
            jobs: before it.
        """
        return self.fixed * (jobs // self.size) + self.each * jobs
