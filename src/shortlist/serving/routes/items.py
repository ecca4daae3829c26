"""Items that come, change and go."""

from __future__ import annotations

from typing import Any

from shortlist.serving.engine.items import check_columns, whole
from shortlist.serving.engine.look import find_items, item_view
from shortlist.serving.operations import Call, Operation
from shortlist.serving.refusal import Refusal
from shortlist.serving.schemas.api import ItemChanged, ItemRequest
from shortlist.serving.schemas.views import FoundItems, ItemView, SearchQuery
from shortlist.serving.service import Service
from shortlist.serving.stores import ItemChange


async def find(service: Service, call: Call[None]) -> FoundItems:
    """Items whose id or title holds a text."""
    query: SearchQuery = call.query
    return await service.do(lambda: find_items(service.shelf.engine, query.search, query.k))


async def get(service: Service, call: Call[None]) -> ItemView:
    """All that the funnel knows of an item."""
    return item_view(service.shelf.engine, call.id)


async def put(service: Service, call: Call[ItemRequest]) -> ItemChanged:
    """Add an item, or describe it anew: columns that are not given are then missing."""
    data = service.shelf.engine.funnel.data
    table = data.catalogue.items
    check_columns(call.body.columns, table, data.schema)
    columns = whole(call.body.columns, table, data.schema)
    return await _change(service, ItemChange(_id(service, call), columns))


async def patch(service: Service, call: Call[ItemRequest]) -> ItemChanged:
    """Change some columns of an item; the others stay."""
    data = service.shelf.engine.funnel.data
    check_columns(call.body.columns, data.catalogue.items, data.schema)
    item = _id(service, call)
    data.item_vocabulary.index_of(item)
    return await _change(service, ItemChange(item, dict(call.body.columns), replace=False))


async def delete(service: Service, call: Call[None]) -> ItemChanged:
    """Recommend an item no more."""
    item = _id(service, call)
    service.shelf.engine.funnel.data.item_vocabulary.index_of(item)
    return await _change(service, ItemChange(item, None))


async def _change(service: Service, change: ItemChange) -> ItemChanged:
    version = await service.do(lambda: service.store.change_items([change]))
    return ItemChanged(change.item, version)


def _id(service: Service, call: Call[Any]) -> str:
    """The id of the path, as the catalogue writes it."""
    text = call.id
    if service.shelf.engine.funnel.data.item_vocabulary.holds_integers:
        if not text.lstrip("-").isdecimal() or not text.isascii() or abs(int(text)) >= 2**63:
            raise Refusal(
                400, f"the id {text!r} is no integer", where="the path", remedy="this catalogue has integers"
            )
        return str(int(text))
    return text


OPERATIONS = (
    Operation(
        "find_items",
        "GET",
        "/v1/items",
        "Items whose id or title holds a text, those with the most events first",
        FoundItems,
        find,
        "recommend",
        query=SearchQuery,
    ),
    Operation(
        "get_item", "GET", "/v1/items/{id}", "All that is known of an item", ItemView, get, "recommend"
    ),
    Operation(
        "put_item",
        "PUT",
        "/v1/items/{id}",
        "Add an item or describe it anew; it can be recommended within a second",
        ItemChanged,
        put,
        "items",
        body=ItemRequest,
        audited=True,
    ),
    Operation(
        "patch_item",
        "PATCH",
        "/v1/items/{id}",
        "Change some columns of an item",
        ItemChanged,
        patch,
        "items",
        body=ItemRequest,
        audited=True,
    ),
    Operation(
        "delete_item",
        "DELETE",
        "/v1/items/{id}",
        "Recommend an item no more",
        ItemChanged,
        delete,
        "items",
        audited=True,
    ),
)
