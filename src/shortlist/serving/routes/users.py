"""What is kept of a user: to be seen, said and erased."""

from __future__ import annotations

from shortlist.serving.engine.look import find_users, history_view
from shortlist.serving.operations import Call, Operation
from shortlist.serving.schemas.api import (
    Asking,
    KeptEvent,
    KeptExposure,
    User,
    UserErased,
    UserKept,
    UserRequest,
)
from shortlist.serving.schemas.views import FoundUsers, HistoryQuery, HistoryView, SearchQuery
from shortlist.serving.service import Service


async def find(service: Service, call: Call[None]) -> FoundUsers:
    """Users of the bundle whose id holds a text."""
    query: SearchQuery = call.query
    return await service.do(lambda: find_users(service.shelf.engine, query.search, query.k))


async def history(service: Service, call: Call[None]) -> HistoryView:
    """What the next list for a user follows from: the events of the bundle, then those of the store."""
    user, query = call.id, call.query

    def look() -> HistoryView:
        return history_view(service.shelf.engine, user, service.past([Asking(user=user)]), query.k)

    return await service.do(look)


async def get(service: Service, call: Call[None]) -> User:
    """Everything that the store keeps of a user."""
    found = await service.do(lambda: service.store.export_user(call.id))
    events = [KeptEvent(each.id, each.item, each.time, each.type, each.context) for each in found.events]
    exposures = [
        KeptExposure(each.id, each.time, each.experiment, each.arm, list(each.items), each.shown)
        for each in found.exposures
    ]
    return User(found.user, found.features, events, exposures)


async def put(service: Service, call: Call[UserRequest]) -> UserKept:
    """Say what is known of a user."""
    user, features = call.id, dict(call.body.features)
    await service.do(lambda: service.store.put_features(user, features))
    return UserKept(user)


async def delete(service: Service, call: Call[None]) -> UserErased:
    """Forget a user."""
    erased = await service.do(lambda: service.store.erase_user(call.id))
    return UserErased(call.id, erased)


OPERATIONS = (
    Operation(
        "find_users",
        "GET",
        "/v1/users",
        "Users of the bundle whose id holds a text, those with the most events first",
        FoundUsers,
        find,
        "inspect",
        query=SearchQuery,
    ),
    Operation(
        "get_history",
        "GET",
        "/v1/users/{id}/history",
        "What the next list for a user follows from",
        HistoryView,
        history,
        "inspect",
        query=HistoryQuery,
    ),
    Operation("get_user", "GET", "/v1/users/{id}", "Export what is kept of a user", User, get, "users"),
    Operation(
        "put_user",
        "PUT",
        "/v1/users/{id}",
        "Say what is known of a user, which joins the context of the user's requests",
        UserKept,
        put,
        "users",
        body=UserRequest,
        audited=True,
    ),
    Operation(
        "delete_user",
        "DELETE",
        "/v1/users/{id}",
        "Erase what is kept of a user",
        UserErased,
        delete,
        "users",
        audited=True,
    ),
)
