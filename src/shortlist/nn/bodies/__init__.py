"""Bodies of a `Ranker`: the click models that stand between the features' embeddings and the score."""

from collections.abc import Mapping
from typing import Any

from shortlist.errors import ConfigError, did_you_mean
from shortlist.nn.bodies.auto_int import AutoInt
from shortlist.nn.bodies.body import Body, FieldLayout
from shortlist.nn.bodies.dcn import DCN
from shortlist.nn.bodies.din import DIN
from shortlist.nn.bodies.factorization import FM, DeepFM
from shortlist.nn.bodies.final_mlp import FinalMLP
from shortlist.nn.bodies.logistic import LR
from shortlist.nn.bodies.mask_net import MaskNet
from shortlist.nn.bodies.wide_deep import WideDeep
from shortlist.nn.bodies.xdeep_fm import XDeepFM

__all__ = [
    "DCN",
    "DIN",
    "FM",
    "LR",
    "AutoInt",
    "Body",
    "DeepFM",
    "FieldLayout",
    "FinalMLP",
    "MaskNet",
    "WideDeep",
    "XDeepFM",
    "body_from_dict",
]

BODIES: tuple[type[Body], ...] = (
    LR,
    FM,
    WideDeep,
    DeepFM,
    DCN,
    XDeepFM,
    AutoInt,
    FinalMLP,
    MaskNet,
    DIN,
)


def body_from_dict(saved: Mapping[str, Any]) -> Body:
    """The reverse of `Body.to_dict`.

    Args:
        saved: the kind and the arguments.

    Returns:
        An equal body.

    Raises:
        ConfigError: the kind or an argument is unknown.
    """
    arguments = dict(saved)
    kind = arguments.pop("kind", "")
    for cls in BODIES:
        if cls.__name__ == kind:
            try:
                return cls(**arguments)
            except TypeError as error:
                known = list(cls.__dataclass_fields__)
                raise ConfigError(f"{error}", where=f"body {kind}", remedy=f"it takes {known}") from error
    names = [cls.__name__ for cls in BODIES]
    raise ConfigError(f"body kind {kind!r} is unknown", remedy=did_you_mean(str(kind), names))
