"""Version 2 of KServe's inference protocol over HTTP, so that its clients can ask."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from shortlist.errors import did_you_mean
from shortlist.serving.operations import Call, Operation
from shortlist.serving.refusal import Refusal
from shortlist.serving.routes.health import ready as readyz
from shortlist.serving.routes.model_servers.rows import answers, check_name, transposed
from shortlist.serving.schemas.api import Recommended
from shortlist.serving.schemas.model_servers import (
    MAX_ROWS,
    InferMetadata,
    Inferred,
    InferRequest,
    InputTensor,
    Live,
    OutputTensor,
    Ready,
    ServerMetadata,
    TensorMetadata,
)
from shortlist.serving.service import Service

KINDS: dict[str, type | tuple[type, ...]] = {
    "BYTES": str,
    "BOOL": bool,
    **{f"{sign}INT{bits}": int for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": (int, float) for bits in (16, 32, 64)},
}
LISTS = ("history", "exclude")
PARAMETERS = ("k", "where", "exclude_seen")
OUTPUTS = ("scores", "ids", "counts")


async def server(service: Service, call: Call[None]) -> ServerMetadata:
    """Which server it is."""
    import shortlist

    return ServerMetadata("shortlist", shortlist.__version__, [])


async def live(service: Service, call: Call[None]) -> Live:
    """That the process answers."""
    return Live(True)


async def ready(service: Service, call: Call[None]) -> Ready:
    """That the server takes requests."""
    await readyz(service, call)
    return Ready(True)


async def model_ready(service: Service, call: Call[None]) -> Ready:
    """That the model takes requests."""
    check_name(service, call.path["name"])
    await readyz(service, call)
    return Ready(True, call.path["name"])


async def model(service: Service, call: Call[None]) -> InferMetadata:
    """What an inference takes and gives."""
    check_name(service, call.path["name"])
    data = service.shelf.engine.funnel.data
    users, items = (_ids(each.holds_integers) for each in (data.user_vocabulary, data.item_vocabulary))
    return InferMetadata(
        call.path["name"],
        [service.shelf.bundles.current],
        "shortlist",
        [TensorMetadata("user", users, [-1]), TensorMetadata("history", items, [-1, -1])],
        [
            TensorMetadata("scores", "FP32", [-1, -1]),
            TensorMetadata("ids", items, [-1, -1]),
            TensorMetadata("counts", "INT32", [-1]),
        ],
    )


async def infer(service: Service, call: Call[InferRequest]) -> Inferred:
    """Lists for some users."""
    check_name(service, call.path["name"])
    body = call.body
    for name in body.parameters:
        if name not in PARAMETERS:
            raise Refusal(
                400, f"{name!r:.80} is unknown", where="parameters", remedy=did_you_mean(name, PARAMETERS)
            )
    wanted = [each.name for each in body.outputs] or list(OUTPUTS)
    for name in wanted:
        if name not in OUTPUTS:
            raise Refusal(
                400, f"{name!r:.80} is unknown", where="outputs", remedy=did_you_mean(name, OUTPUTS)
            )
    rows = transposed({each.name: _column(each) for each in body.inputs}, "inputs")
    lists = await answers(service, [body.parameters | row for row in rows], "row")
    integers = service.shelf.engine.funnel.data.item_vocabulary.holds_integers
    tensors = _tensors(lists, integers)
    return Inferred(
        model_name=call.path["name"],
        model_version=service.shelf.bundles.current,
        id=body.id,
        outputs=[tensors[name] for name in wanted],
    )


def _ids(integers: bool) -> str:
    return "INT64" if integers else "BYTES"


def _column(tensor: InputTensor) -> list[Any]:
    """A tensor's value for each user.

    Raises:
        Refusal: its data are not as its shape and its type say.
    """
    where, shape, values = f"the input {tensor.name!r:.80}", tensor.shape, tensor.data
    rows, width = shape[0], shape[1] if len(shape) == 2 else 1
    if rows > MAX_ROWS:
        raise Refusal(413, f"{rows} rows, more than {MAX_ROWS}", where=where, remedy="send less at a time")
    if values and all(isinstance(each, list) for each in values):
        values = list(chain.from_iterable(values))
    if len(values) != rows * width:
        raise Refusal(400, f"{len(values)} values for the shape {shape}", where=where)
    kind = KINDS.get(tensor.datatype)
    if kind is None:
        raise Refusal(
            400,
            f"the type {tensor.datatype!r:.80} is unknown",
            where=where,
            remedy=did_you_mean(tensor.datatype, KINDS),
        )
    for value in values:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Refusal(400, f"{value!r:.80} is no {tensor.datatype}", where=where)
    if tensor.name in LISTS:
        return [[each for each in values[i * width : (i + 1) * width] if each != ""] for i in range(rows)]
    if width != 1:
        raise Refusal(400, f"{width} values a user", where=where, remedy="give one value a user")
    return [None if each == "" else each for each in values]


def _tensors(lists: Sequence[Recommended], integers: bool) -> dict[str, OutputTensor]:
    """Lists as tensors; the shorter ones are filled up, and `counts` says how long each is."""
    rows, width = len(lists), max((len(each.items) for each in lists), default=0)
    none: str | int = -1 if integers else ""
    scores, ids = list[float](), list[Any]()
    for each in lists:
        missing = width - len(each.items)
        scores += [*each.scores, *[0.0] * missing]
        ids += [*each.items, *[none] * missing]
    return {
        "scores": OutputTensor("scores", [rows, width], "FP32", scores),
        "ids": OutputTensor("ids", [rows, width], _ids(integers), ids),
        "counts": OutputTensor("counts", [rows], "INT32", [len(each.items) for each in lists]),
    }


def _operation(name: str, path: str, summary: str, answer: type, handle: Any, **settings: Any) -> Operation:
    scope = settings.pop("scope", "recommend")
    method = "POST" if "body" in settings else "GET"
    return Operation(name, method, path, summary, answer, handle, scope, foreign=True, **settings)


OPERATIONS = (
    _operation(
        "v2_live", "/v2/health/live", "Whether the process answers, for KServe", Live, live, scope=None
    ),
    _operation("v2_ready", "/v2/health/ready", "Whether the server takes requests", Ready, ready, scope=None),
    _operation("v2_server", "/v2", "Which server it is, for KServe", ServerMetadata, server, scope=""),
    _operation(
        "v2_model", "/v2/models/{name}", "What an inference takes and gives, for KServe", InferMetadata, model
    ),
    _operation(
        "v2_model_ready", "/v2/models/{name}/ready", "Whether the model takes requests", Ready, model_ready
    ),
    _operation(
        "v2_infer",
        "/v2/models/{name}/infer",
        "Lists for some users, in version 2 of KServe's protocol",
        Inferred,
        infer,
        body=InferRequest,
    ),
)
