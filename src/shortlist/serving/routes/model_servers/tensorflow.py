"""The REST protocol of TensorFlow Serving, so that its clients can ask."""

from __future__ import annotations

from typing import Any

from shortlist.serving.operations import Call, Operation
from shortlist.serving.refusal import Refusal
from shortlist.serving.routes.model_servers.rows import answers, check_name, transposed
from shortlist.serving.schemas.model_servers import (
    ModelMetadata,
    ModelSpec,
    ModelStatus,
    Predicted,
    Prediction,
    PredictionColumns,
    PredictRequest,
    VersionCode,
    VersionStatus,
)
from shortlist.serving.service import Service

SIGNATURE = "serving_default"


async def predict(service: Service, call: Call[PredictRequest]) -> Predicted:
    """Lists for some users."""
    check_name(service, call.path["name"])
    body = call.body
    if body.signature_name != SIGNATURE:
        raise Refusal(400, f"there is no signature {body.signature_name!r:.80}", remedy=f"use {SIGNATURE!r}")
    if (body.instances is None) == (body.inputs is None):
        raise Refusal(400, "give either instances or inputs", where="the body")
    if body.instances is not None:
        lists = await answers(service, body.instances, "instances")
        return Predicted(predictions=[Prediction(each.scores, each.items) for each in lists])
    rows: list[Any] = (
        transposed(body.inputs, "inputs") if isinstance(body.inputs, dict) else body.inputs or []
    )
    lists = await answers(service, rows, "inputs")
    return Predicted(
        outputs=PredictionColumns([each.scores for each in lists], [each.items for each in lists])
    )


async def status(service: Service, call: Call[None]) -> ModelStatus:
    """That the bundle in use answers."""
    check_name(service, call.path["name"])
    state = "UNLOADING" if service.draining else "AVAILABLE"
    return ModelStatus([VersionStatus(_version(service), state, VersionCode())])


async def metadata(service: Service, call: Call[None]) -> ModelMetadata:
    """What a prediction takes and gives."""
    check_name(service, call.path["name"])
    data = service.shelf.engine.funnel.data
    ids = "DT_INT64" if data.item_vocabulary.holds_integers else "DT_STRING"
    users = "DT_INT64" if data.user_vocabulary.holds_integers else "DT_STRING"
    signature = {
        "inputs": {data.schema.user_id: _tensor(users, -1)},
        "outputs": {"output_1": _tensor("DT_FLOAT", -1, -1), "output_2": _tensor(ids, -1, -1)},
        "method_name": "tensorflow/serving/predict",
    }
    spec = ModelSpec(service.settings.model_name, "", _version(service))
    return ModelMetadata(spec, {"signature_def": {"signature_def": {SIGNATURE: signature}}})


def _version(service: Service) -> str:
    """The bundle's name, which is hexadecimal, as the whole number that the protocol asks for."""
    return str(int(service.shelf.bundles.current, 16))


def _tensor(dtype: str, *sizes: int) -> dict[str, Any]:
    shape = {"dim": [{"size": str(size), "name": ""} for size in sizes], "unknown_rank": False}
    return {"dtype": dtype, "tensor_shape": shape, "name": ""}


OPERATIONS = (
    Operation(
        "predict",
        "POST",
        "/v1/models/{name}:predict",
        "Lists for some users, in the shape of TensorFlow Serving",
        Predicted,
        predict,
        "recommend",
        body=PredictRequest,
        foreign=True,
    ),
    Operation(
        "model_status",
        "GET",
        "/v1/models/{name}",
        "Whether the model answers, in the shape of TensorFlow Serving",
        ModelStatus,
        status,
        "recommend",
        foreign=True,
    ),
    Operation(
        "model_metadata",
        "GET",
        "/v1/models/{name}/metadata",
        "What a prediction takes and gives, in the shape of TensorFlow Serving",
        ModelMetadata,
        metadata,
        "recommend",
        foreign=True,
    ),
)
