"""What two common model servers take and give: TensorFlow Serving, and KServe in version 2."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from shortlist.serving.schemas.api import Id

MAX_ROWS = 100  # of one request
MAX_TENSORS = 50

Rows = Annotated[list[Any], Meta(max_length=MAX_ROWS)]
Shape = Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1, max_length=2)]


class ErrorText(Struct, frozen=True):
    """The answer to a request that could not be met."""

    error: str


class PredictRequest(Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Users in rows (`instances`) or in columns (`inputs`)."""

    signature_name: str = "serving_default"
    instances: Annotated[
        Rows | None,
        Meta(description="one a user: an id, or an object with `user`, `history`, `k`, … and context values"),
    ] = None
    inputs: Annotated[
        Rows | dict[str, Rows] | None, Meta(description="the same in columns, all of one length")
    ] = None


class Prediction(Struct, frozen=True):
    """A user's list, best first, as TensorFlow Recommenders' layers name its two parts."""

    output_1: Annotated[list[float], Meta(description="scores")]
    output_2: Annotated[list[Id], Meta(description="item ids")]


class PredictionColumns(Struct, frozen=True):
    """The lists of all users."""

    output_1: list[list[float]]
    output_2: list[list[Id]]


class Predicted(Struct, omit_defaults=True, frozen=True):
    """`predictions` for rows, `outputs` for columns."""

    predictions: list[Prediction] | None = None
    outputs: PredictionColumns | None = None


class VersionCode(Struct, frozen=True):
    """That all is well."""

    error_code: str = "OK"
    error_message: str = ""


class VersionStatus(Struct, frozen=True):
    """How a version of a model is."""

    version: str
    state: str
    status: VersionCode


class ModelStatus(Struct, frozen=True):
    """How a model's versions are; there is one, the bundle in use."""

    model_version_status: list[VersionStatus]


class ModelSpec(Struct, frozen=True):
    """Which model it is."""

    name: str
    signature_name: str
    version: str


class ModelMetadata(Struct, frozen=True):
    """What a model takes and gives."""

    model_spec: ModelSpec
    metadata: dict[str, Any]


class ServerMetadata(Struct, frozen=True):
    """Which server it is."""

    name: str
    version: str
    extensions: list[str]


class Live(Struct, frozen=True):
    """Whether the process answers."""

    live: bool


class Ready(Struct, omit_defaults=True, frozen=True):
    """Whether the server, or a model, takes requests."""

    ready: bool
    name: str = ""


class TensorMetadata(Struct, frozen=True):
    """An input or an output; -1 in its shape is any number."""

    name: str
    datatype: str
    shape: list[int]


class InferMetadata(Struct, frozen=True):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class InputTensor(Struct, kw_only=True, frozen=True):
    """Values of all users: `[users]` or `[users, values]`; an empty text is no value."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    shape: Shape
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] = {}


class WantedOutput(Struct, frozen=True):
    """An output to answer with."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(Struct, kw_only=True, frozen=True):
    """Users as tensors; `k`, `where` and `exclude_seen` may stand in `parameters`."""

    id: Annotated[str, Meta(max_length=200)] = ""
    parameters: dict[str, Any] = {}
    inputs: Annotated[list[InputTensor], Meta(min_length=1, max_length=MAX_TENSORS)]
    outputs: Annotated[list[WantedOutput], Meta(max_length=MAX_TENSORS)] = []


class OutputTensor(Struct, frozen=True):
    """Values of all users, row by row."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class Inferred(Struct, omit_defaults=True, kw_only=True, frozen=True):
    """The lists of all users as tensors."""

    model_name: str
    model_version: str
    id: str = ""
    outputs: list[OutputTensor]
