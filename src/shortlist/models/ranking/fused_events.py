"""The loss of a ranker on single events together with its gradients, in one native pass.

A batch holds the same users and items again and again. Their features are encoded once, and what they give to
the first cross, which is linear in the rows, is computed once too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from shortlist.data.feature_space import Batch, dense
from shortlist.kernels.event_networks import (
    Distinct,
    EventLoss,
    Events,
    Layers,
    Part,
    find_distinct,
    loss_and_gradients,
)
from shortlist.kernels.softmax import fastest_short_products
from shortlist.losses.reduction import normalised_weights
from shortlist.models.ranking.plain_layers import PlainLayers, plain_layers

if TYPE_CHECKING:
    from shortlist.models.ranking.ranker import Ranker

MOST_DISTINCT = 0.75  # share of a batch's ids beyond which they are not worth being told apart

_SIDES = {"user": "user_index", "item": "item_index"}


def fused_event_loss(ranker: Ranker, batch: Batch, loss: EventLoss) -> Tensor | None:
    """The mean loss of a batch of events, as `single_events.event_loss`, with its gradients at once.

    Args:
        ranker: to be trained.
        batch: of events; features of the user are the same wherever `user_index` is, those of the item
            wherever `item_index` is.
        loss: of the ranker.

    Returns:
        A scalar, or None where a layer, a dtype or a device is not one that the kernels know, or no gradients
        are wanted.
    """
    network = plain_layers(getattr(ranker, "network", None))
    if network is None or ranker.fields is None or "row" in batch or not torch.is_grad_enabled():
        return None
    layers = _layers(network)
    if layers is None or not all(_is_plain(weight) for weight in layers.weights):
        return None
    labels = dense(batch, "label").float()
    parts = ranker.fields.parts(batch, _distinct(ranker, batch))
    parts = [Part(part.rows.float(), part.index) for part in parts]  # autocast may have shortened them
    if not _suit(parts, labels):
        return None
    events = Events(
        labels,
        normalised_weights(dense(batch, "weight") if "weight" in batch else None, labels),
        loss,
        start=float(ranker.centre) if loss == "rating" else 0.0,
        dropout=network.dropout,
        seed=int(torch.randint((1 << 63) - 1, ())) if network.dropout else 0,
    )
    products = fastest_short_products() if torch.is_autocast_enabled("cpu") else ""
    tensors = [*(part.rows for part in parts), *layers.weights, *layers.biases]
    index = [part.index for part in parts]
    result: Tensor = _EventLoss.apply(  # type: ignore[no-untyped-call]
        events, layers.crosses, products, index, *tensors
    )
    return result


class _EventLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        events: Events,
        crosses: int,
        products: str,
        index: list[Tensor | None],
        *tensors: Tensor | None,
    ) -> Tensor:
        count = len(index)
        depth = (len(tensors) - count) // 2
        rows, weights, biases = tensors[:count], tensors[count : count + depth], tensors[count + depth :]
        parts = [Part(each, own) for each, own in zip(rows, index, strict=True) if each is not None]
        layers = Layers([each for each in weights if each is not None], biases, crosses)
        loss, gradients = loss_and_gradients(parts, layers, events, products=products)
        ctx.save_for_backward(*gradients.rows, *gradients.weights, *gradients.biases)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        scaled = [None if each is None else each * grad for each in ctx.saved_tensors]
        return None, None, None, None, *scaled


def _layers(network: PlainLayers) -> Layers | None:
    """The layers as the kernels read them; None without a cross, or with one of low rank."""
    if not network.crosses or any(cross.down is not None for cross in network.crosses):
        return None
    weights = [cross.kernel.weight for cross in network.crosses]
    for place, cross in enumerate(network.crosses):
        if cross.diag_scale:
            weights[place] = weights[place] + cross.diag_scale * torch.eye(cross.dim)
    biases = [cross.bias for cross in network.crosses]
    return Layers(
        [*weights, *(linear.weight for linear in network.linears)],
        [*biases, *(linear.bias for linear in network.linears)],
        len(network.crosses),
    )


def _suit(parts: list[Part], labels: Tensor) -> bool:
    """Whether there is one row and one label an example."""
    examples = {len(part.rows if part.index is None else part.index) for part in parts}
    tensors = [*(part.rows for part in parts), labels]
    return all(_is_plain(each) for each in tensors) and labels.ndim == 1 and examples == {len(labels)}


def _is_plain(values: Tensor) -> bool:
    return values.dtype == torch.float32 and values.device.type == "cpu"


def _distinct(ranker: Ranker, batch: Batch) -> dict[str, Distinct]:
    """The different users or items of a batch, by the names of the features that depend on them alone."""
    found: dict[str, Distinct] = {}
    for side, name in _SIDES.items():
        ids = batch.get(name)
        if not isinstance(ids, Tensor) or ids.device.type != "cpu" or ids.dtype != torch.int64:
            continue
        distinct = find_distinct(ids)
        if len(distinct.rows) <= MOST_DISTINCT * len(ids):
            names = ranker.fitted_space().sides.items()
            found |= {feature: distinct for feature, where in names if where == side}
    return found
