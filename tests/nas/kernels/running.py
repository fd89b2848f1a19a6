"""One layer between a 1x1 convolution and a smooth end, so that every gradient is seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.architecture.modules import (
    Layer,
    Step,
    activation,
    global_mean,
    pointwise_convolution,
    sequential,
)
from nas.kernels.library import Library
from nas.kernels.network import KernelNetwork
from nas.kernels.plan import plan_network
from nas.network.build import build


def surrounded(step: Step, channels: int, size: tuple[int, int], relu: bool = False) -> Layer:
    """The step on so many channels, behind a ReLU where wanted."""
    steps = {"first": pointwise_convolution(channels)}
    if relu:
        steps["relu"] = activation("relu")
    steps |= {"step": step, "smooth": activation("silu"), "mean": global_mean()}
    return sequential(steps)((2, *size))


def halves(*shape: int) -> Tensor:
    """Multiples of one half: their products and sums are exact, and on one side of zero in both."""
    return torch.randint(-4, 5, shape) / 2


def on_kernels(layer: Layer, network: nn.Module, kernels: Library) -> KernelNetwork:
    return KernelNetwork(network, plan_network(layer), kernels)


def built(layer: Layer) -> nn.Module:
    network = build(layer)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(halves(*parameter.shape) if parameter.ndim > 1 else 1 + parameter / 2)
    return network


def gradients(network: nn.Module, images: Tensor, weighting: Tensor) -> dict[str, Tensor]:
    """Of a weighted sum of the means, and the means themselves."""
    network.train()
    network.zero_grad()
    means = network(images)
    (means * weighting).sum().backward()
    found = {
        name.removeprefix("network."): parameter.grad.double()
        for name, parameter in network.named_parameters()
    }
    return {"means": means.detach().double(), **found}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance=2e-5) -> None:
    """Each tensor by its own scale, or where its terms cancel by a hundredth of the largest."""
    assert found.keys() == expected.keys()
    largest = max(tensor.abs().max() for tensor in expected.values())
    for name, tensor in expected.items():
        scale = max(tensor.abs().max(), largest / 100, torch.tensor(1e-30))
        difference = (found[name] - tensor).abs().max() / scale
        assert difference < tolerance, f"{name}: {difference:.1e} of its scale"
