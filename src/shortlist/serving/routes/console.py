"""The console, and what it shows of the funnel. The page itself knows nothing, and so needs no key."""

from __future__ import annotations

from shortlist.serving.console import PAGE, assets
from shortlist.serving.engine.look import funnel_view
from shortlist.serving.operations import Call, Operation, Text
from shortlist.serving.refusal import Refusal
from shortlist.serving.schemas.views import FunnelQuery, FunnelView
from shortlist.serving.service import Service


async def page(service: Service, call: Call[None]) -> Text:
    """The page."""
    return assets()[PAGE]


async def file(service: Service, call: Call[None]) -> Text:
    """A script, a style sheet or the icon of the page."""
    found = assets().get(call.path["file"])
    if found is None:
        raise Refusal(404, "the console has no such file", where="the path")
    return found


async def funnel(service: Service, call: Call[None]) -> FunnelView:
    """The parts of the funnel that answers, or of the one that answers a user in an experiment."""
    query: FunnelQuery = call.query
    desk = service.trials.main if query.user is None else service.trials.desk_of(query.user)
    return funnel_view(desk.shelf.engine)


OPERATIONS = (
    Operation("console", "GET", "/", "The console, a page that shows how lists come about", Text, page, None),
    Operation("console_file", "GET", "/console/{file}", "A file of the console", Text, file, None),
    Operation(
        "get_funnel",
        "GET",
        "/v1/funnel",
        "The parts of the funnel that answers, and the columns of its items",
        FunnelView,
        funnel,
        "recommend",
        query=FunnelQuery,
    ),
)
