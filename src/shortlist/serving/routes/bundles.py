"""Which bundle answers."""

from __future__ import annotations

from shortlist.serving.bundles.stored import stored_bundles
from shortlist.serving.operations import Call, Operation
from shortlist.serving.refusal import Refusal
from shortlist.serving.schemas.api import BundleRequest, Bundles
from shortlist.serving.schemas.views import BundlesView
from shortlist.serving.service import Service


async def get(service: Service, call: Call[None]) -> BundlesView:
    """The bundle in use, the one before, and those that lie ready."""
    ready, now = await service.do(lambda: stored_bundles(service.shelf.root)), service.shelf.bundles
    return BundlesView(now.current, now.path, now.previous, ready)


async def change(service: Service, call: Call[BundleRequest]) -> Bundles:
    """Answer from another bundle once it is verified and warm; requests go on in the meantime."""
    path = call.body.path
    if (path is None) != call.body.rollback:
        raise Refusal(400, "give either a path or rollback: true", where="the body")
    return await service.change_bundle(path)


OPERATIONS = (
    Operation(
        "get_bundles",
        "GET",
        "/v1/bundles",
        "Which bundle answers, and which lie ready",
        BundlesView,
        get,
        "bundles",
    ),
    Operation(
        "change_bundle",
        "POST",
        "/v1/bundles",
        "Answer from another bundle, or from the one before",
        Bundles,
        change,
        "bundles",
        body=BundleRequest,
        audited=True,
    ),
)
