"""Why a request is turned away, with the status that says so."""

from __future__ import annotations

from shortlist.errors import Error


class Refusal(Error):
    """A request that is not answered.

    Args:
        status: HTTP status, 400 to 503.
        what: what was wrong.
        where: in the request.
        remedy: what to do.
        retry_after: seconds after which the same request may succeed; None where it will not.
    """

    def __init__(
        self, status: int, what: str, *, where: str = "", remedy: str = "", retry_after: int | None = None
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.status, self.retry_after = status, retry_after


def wrong_value(error: Exception, where: str) -> Refusal:
    """The refusal of a value that is not as the description says.

    Args:
        error: of msgspec.
        where: what was decoded.
    """
    what, _, place = str(error).partition(" - at ")
    return Refusal(
        400, what, where=f"{where}, {place}" if place else where, remedy="see /openapi.json for what it takes"
    )


def busy() -> Refusal:
    """The refusal of a request that would have to wait too long."""
    return Refusal(503, "the server is busy", remedy="send the request again later", retry_after=1)
