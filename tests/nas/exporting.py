"""A small network whose batch norms have seen data, and what is exported of one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import nn

from nas import Architecture, Block, SpectrumPoint, Stem, build_network

SMALL = Architecture(
    (3, 9, 8),
    4,
    Stem((6,)),
    (
        Block((7, 7), SpectrumPoint(3, "relu"), stride=2),
        Block((10,), SpectrumPoint("C", "elu", "pointwise_first"), residual=False),
    ),
)


def with_statistics(architecture: Architecture) -> nn.Module:
    """A network whose batch norms have seen data, as a trained one's have."""
    torch.manual_seed(0)
    network = build_network(architecture)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.1)
    return network.eval()


def imported(folder: Path):
    spec = importlib.util.spec_from_file_location("exported", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
