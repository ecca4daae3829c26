"""The losses that a ranker can be trained with, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from shortlist.losses import DCGWeight, ListLosses, approx_ndcg, list_mle, pairwise_logistic, softmax

Loss = Literal["softmax", "lambdaloss", "approx_ndcg", "list_mle", "click", "rating"]
# Losses over the candidates of a request.
LIST_LOSSES: dict[str, Callable[..., ListLosses]] = {
    "softmax": softmax,
    "lambdaloss": partial(pairwise_logistic, lambda_weight=DCGWeight()),
    "approx_ndcg": approx_ndcg,
    "list_mle": list_mle,
}
LOSSES: tuple[Loss, ...] = (*LIST_LOSSES, "click", "rating")  # type: ignore[arg-type]
