"""What is kept of a user: to be seen, said and erased."""

from __future__ import annotations

from shortlist.serving.operations import Call, Operation
from shortlist.serving.schemas import KeptEvent, User, UserErased, UserKept, UserRequest
from shortlist.serving.service import Service


async def get(service: Service, call: Call[None]) -> User:
    """Everything that the store keeps of a user."""
    found = await service.do(lambda: service.store.export_user(call.id))
    events = [KeptEvent(each.id, each.item, each.time, each.type, each.context) for each in found.events]
    return User(found.user, found.features, events)


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
