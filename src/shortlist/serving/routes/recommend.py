"""Lists: for somebody, of given items, like an item."""

from __future__ import annotations

from shortlist.serving.operations import Call, Operation
from shortlist.serving.schemas.api import (
    Ranked,
    RankRequest,
    Recommended,
    RecommendRequest,
    Similar,
    SimilarQuery,
)
from shortlist.serving.service import Service


async def recommend(service: Service, call: Call[RecommendRequest]) -> Recommended:
    """What to show to somebody next."""
    return await service.recommend(call.body)


async def rank(service: Service, call: Call[RankRequest]) -> Ranked:
    """Given items in the order in which somebody wants them."""
    return await service.do(lambda: service.shelf.engine.rank(call.body, service.past([call.body])))


async def similar(service: Service, call: Call[None]) -> Similar:
    """The items nearest to one."""
    query: SimilarQuery = call.query
    return await service.do(lambda: service.shelf.engine.similar(call.id, query.k))


OPERATIONS = (
    Operation(
        "recommend",
        "POST",
        "/v1/recommend",
        "What to show to a user, or after a session, next",
        Recommended,
        recommend,
        "recommend",
        body=RecommendRequest,
    ),
    Operation(
        "rank",
        "POST",
        "/v1/rank",
        "Put given items in order for somebody",
        Ranked,
        rank,
        "recommend",
        body=RankRequest,
    ),
    Operation(
        "similar",
        "GET",
        "/v1/similar/{id}",
        "The items nearest to an item",
        Similar,
        similar,
        "recommend",
        query=SimilarQuery,
    ),
)
