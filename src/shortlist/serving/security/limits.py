"""How much one client, and all together, may ask for."""

from __future__ import annotations

import math
import time
from collections import OrderedDict

from shortlist.serving.refusal import Refusal

CLIENTS = 10_000  # whose rates are remembered
BURST_SECONDS = 2.0  # of requests that may come at once


class RateLimit:
    """A bucket of tokens for each client: so many requests a second, and a burst of twice that.

    Args:
        rate: requests a second, above 0.
    """

    def __init__(self, rate: float) -> None:
        self.rate, self.burst = rate, max(1.0, rate * BURST_SECONDS)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, client: str, now: float | None = None) -> None:
        """Count a request.

        Args:
            client: who sent it.
            now: seconds of a steady clock.

        Raises:
            Refusal: it was one too many (429).
        """
        now = time.monotonic() if now is None else now
        tokens, last = self._buckets.pop(client, (self.burst, now))
        tokens = min(self.burst, tokens + (now - last) * self.rate)
        allowed = tokens >= 1
        self._buckets[client] = (tokens - allowed, now)
        if len(self._buckets) > CLIENTS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise Refusal(
                429,
                f"more than {self.rate:g} requests a second",
                remedy="send fewer, or wait as Retry-After says",
                retry_after=math.ceil((1 - tokens) / self.rate),
            )


class RequestLimit:
    """So many requests in progress; used as a context.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self.most, self.now = most, 0

    def is_full(self, coming: int = 0) -> bool:
        """Whether one more would be too many.

        Args:
            coming: requests that have been let in, and are not counted yet.
        """
        return self.now + coming >= self.most

    def __enter__(self) -> None:
        if self.is_full():
            raise Refusal(
                503,
                f"{self.now} requests are in progress",
                remedy="send the request again later",
                retry_after=1,
            )
        self.now += 1

    def __exit__(self, *error: object) -> None:
        self.now -= 1
