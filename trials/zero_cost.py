"""What a network says of itself before it is trained: zero-cost signals, from one minibatch.

As in Abdelfattah et al. 2021, "Zero-Cost Proxies for Lightweight NAS" (arXiv:2101.08134), and its
code (SamsungLabs/zero-cost-nas): the network has the weights that a training of it would begin
with, and is in training mode, so that batch norm normalises by the minibatch itself. Larger means
better in all of them.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trials.step import loss_of

BATCH = 64
"""Images of the minibatch, as in the source; all that there are, where they are fewer."""

_K = 1e-5
"""Keeps the score of an eigenvalue of zero finite, as in the source."""


class TimedSignal(NamedTuple):
    """A signal, and the seconds that it took."""

    value: float
    seconds: float


def zero_cost_signals(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, TimedSignal]:
    """All of them by name, of a network that stays as it is.

    Args:
        network: as it is built, on the device of the images.
        images: (B, C, H, W), normalised.
        labels: (B,), or (B, classes) where images have many.
    """
    signals = {
        "synflow": partial(synflow, network, tuple(images.shape[1:])),
        "jacob_cov": partial(jacob_cov, network, images),
        "grad_norm": partial(grad_norm, network, images, labels),
    }
    return {name: _timed(signal) for name, signal in signals.items()}


def synflow(network: nn.Module, shape: tuple[int, ...]) -> float:
    """How much of an input of ones flows through the weights' absolute values.

    The sum over the weights of convolutions and linear layers of |weight x gradient|, where the
    gradient is of the sum of the outputs, and every parameter is replaced by its absolute value
    (Tanaka et al. 2020, arXiv:2006.05467). Batch norm is left out, for it would undo the scale that
    is measured; in float64, for the sum grows with every layer. No data is seen.

    Args:
        shape: (channels, height, width).
    """
    flow = copy.deepcopy(network).double().train()
    _leave_norms_out(flow)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.abs_()
    weights = list(_weights(flow))
    ones = torch.ones((1, *shape), dtype=torch.float64, device=weights[0].device)
    gradients = torch.autograd.grad(flow(ones).sum(), weights, allow_unused=True)
    pairs = zip(weights, gradients, strict=True)
    return sum(float((w.detach() * g).abs().sum()) for w, g in pairs if g is not None)


def grad_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Sum over convolutions and linear layers of the Euclidean norm of their weights' gradient.

    Of the mean cross-entropy of the minibatch, without label smoothing; batch norm stays.
    """
    trained = copy.deepcopy(network).train()
    loss = loss_of(trained(images), labels)
    gradients = torch.autograd.grad(loss, list(_weights(trained)), allow_unused=True)
    return sum(float(gradient.norm()) for gradient in gradients if gradient is not None)


def jacob_cov(network: nn.Module, images: Tensor) -> float:
    """How differently the network reacts to the images of the minibatch; batch norm stays.

    The rows of the Jacobian are the gradients of the sum of all outputs with respect to each image
    (Mellor et al. 2020, arXiv:2006.04647v1); see `correlation_score`.
    """
    seen = images.detach().clone().requires_grad_()
    outputs = copy.deepcopy(network).train()(seen)
    (jacobian,) = torch.autograd.grad(outputs.sum(), seen)
    return correlation_score(jacobian.flatten(1).double())


def correlation_score(rows: Tensor) -> float:
    """-sum(log(v + k) + 1 / (v + k)) over the eigenvalues v of the rows' correlation matrix.

    Highest, -n in all, where the rows are uncorrelated. The source asks for the eigenvalues of any
    matrix; this one is symmetric, whose are real.

    Args:
        rows: (n, features).

    Returns:
        Minus infinity where a row is constant, which correlates with nothing.
    """
    correlations = torch.corrcoef(rows)
    if not bool(correlations.isfinite().all()):
        return -math.inf
    values = torch.linalg.eigvalsh(correlations) + _K
    return -float((values.log() + 1 / values).sum())


def _weights(network: nn.Module) -> Iterator[Tensor]:
    """Of its convolutions and linear layers, without biases, as the source counts them."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            yield module.weight


def _leave_norms_out(network: nn.Module) -> None:
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, nn.Identity())


def _timed(signal: Callable[[], float]) -> TimedSignal:
    started = time.perf_counter()
    value = signal()  # a number: a GPU was waited for
    return TimedSignal(value, time.perf_counter() - started)
