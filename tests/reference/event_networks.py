"""A deep and cross network on single events in double precision, layer by layer, with PyTorch's gradients."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from shortlist.kernels.event_networks import EventGradients, Events, Layers, Part
from shortlist.kernels.mixing import mixed, shifted

_LOW = 0xFFFFFFFF


def kept_units(seed: int, layer: int, shape: tuple[int, int], dropout: float) -> Tensor:
    """Which hidden units of which examples are kept, by a random number for each."""
    noise = mixed(mixed(torch.tensor(seed)) + layer)
    keys = shifted(mixed(noise ^ (torch.arange(shape[0]) << 2)), 32)
    random = keys[:, None] ^ (torch.arange(shape[1]) * 0x9E3779B9 & _LOW)
    random = (random ^ random >> 16) * 0x7FEB352D & _LOW
    random = (random ^ random >> 15) * 0x846CA68B & _LOW
    random = random ^ random >> 16
    return random >= math.floor(float(torch.tensor(dropout)) * 2**32)


def loss_and_gradients(
    parts: list[Part], layers: Layers, events: Events
) -> tuple[float, EventGradients, float]:
    """The loss, its gradients, and how near a hidden unit or the error of all came to nothing."""
    rows, weights, biases = (
        [None if each is None else each.double().requires_grad_() for each in tensors]
        for tensors in ([part.rows for part in parts], layers.weights, layers.biases)
    )
    indexed = zip(rows, parts, strict=True)
    base = torch.cat([each if part.index is None else each[part.index] for each, part in indexed], dim=1)
    found, nearest = base, math.inf
    for place, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        product = found @ weight.T + (0 if bias is None else bias)
        if place < layers.crosses:
            found = base * product + found
        elif place < len(weights) - 1:
            nearest = min(nearest, float(product.detach().abs().min()))
            found = product.clamp(min=0)
            if events.dropout:
                kept = kept_units(events.seed, place - layers.crosses, tuple(found.shape), events.dropout)
                found = torch.where(kept, found / (1 - events.dropout), 0)
    scores, labels = product[:, 0] + events.start, events.labels.double()
    if events.loss == "rating":
        losses = (scores - labels).square()
        nearest = min(nearest, 1e-3 * float(losses.detach().mean().sqrt()))
    else:
        losses = torch.nn.functional.binary_cross_entropy_with_logits(scores, labels, reduction="none")
    loss = (losses * events.weights).sum()
    loss.backward()
    grads = [[None if each is None else each.grad for each in some] for some in (rows, weights, biases)]
    return float(loss.detach()), EventGradients(*grads), nearest
