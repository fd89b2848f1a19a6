"""An architecture as a PyTorch module."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from nas.architecture.specification import Architecture, Block, Padding, Stem
from nas.network.operators import MaxPool2d, PointwiseConv2d, SegmentedConv2d, SpectrumConv2d


class SpectrumBlock(nn.Module):
    """ReLU, spectrum convolution, batch norm; repeated; and a shortcut around them.

    (N, C_in, H, W) -> (N, C_out, ceil(H / stride), ceil(W / stride)), as in Xception's figure 5.
    """

    def __init__(
        self,
        block: Block,
        in_channels: int,
        leading_relu: bool,
        padding: Padding,
        norm_epsilon: float,
    ) -> None:
        super().__init__()
        out_channels = block.channels[-1]
        layers: dict[str, nn.Module] = {}
        for index, (c_in, c_out) in enumerate(block.convolution_channels(in_channels)):
            if index > 0 or leading_relu:
                layers[f"relu{index}"] = nn.ReLU()
            stride = block.convolution_stride if index == 0 else 1
            layers[f"conv{index}"] = SpectrumConv2d(
                c_in, c_out, block.point, stride, padding, norm_epsilon
            )
            layers[f"norm{index}"] = nn.BatchNorm2d(c_out, eps=norm_epsilon)
        if block.stride > 1 and block.downsample == "max_pool":
            layers["pool"] = MaxPool2d(block.stride, padding)
        self.branch = nn.Sequential(OrderedDict(layers))
        self.shortcut: nn.Module | None = None
        if block.residual and block.stride == 1 and in_channels == out_channels:
            self.shortcut = nn.Identity()
        elif block.residual:
            self.shortcut = nn.Sequential(
                OrderedDict[str, nn.Module](
                    conv=PointwiseConv2d(in_channels, out_channels, block.stride),
                    norm=nn.BatchNorm2d(out_channels, eps=norm_epsilon),
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.branch(x)
        return y if self.shortcut is None else y + self.shortcut(x)


class SpectrumNetwork(nn.Module):
    """Stem, blocks, then ReLU, global average pooling, dropout and a linear layer.

    (N, C, H, W) float -> (N, classes) logits. Dropout is off until a recipe turns it on.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.stem = _stem(architecture)
        # The stem ends in a ReLU; a second one before the first block would change nothing.
        self.blocks = nn.Sequential(
            *(
                SpectrumBlock(
                    block,
                    in_channels,
                    leading_relu=block.leading_relu and index > 0,
                    padding=architecture.padding,
                    norm_epsilon=architecture.norm_epsilon,
                )
                for index, (block, in_channels) in enumerate(architecture.blocks_with_input())
            )
        )
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(p=0.0)
        self.linear = nn.Linear(architecture.blocks[-1].channels[-1], architecture.classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.blocks(self.stem(x)))  # (N, C, H, W)
        logits: Tensor = self.linear(self.dropout(x.mean(dim=(2, 3))))
        return logits


def _stem(architecture: Architecture) -> nn.Sequential:
    stem: Stem = architecture.stem
    layers: dict[str, nn.Module] = {}
    for index, (c_in, c_out) in enumerate(stem.convolution_channels(architecture.input_shape[0])):
        stride = stem.stride if index == 0 else 1
        layers[f"conv{index}"] = (
            nn.Conv2d(c_in, c_out, stem.kernel, stride, bias=False)
            if stem.valid
            else SegmentedConv2d(
                (c_in,), (c_out,), stem.kernel, stride, padding=architecture.padding
            )
        )
        layers[f"norm{index}"] = nn.BatchNorm2d(c_out, eps=architecture.norm_epsilon)
        layers[f"relu{index}"] = nn.ReLU()
    return nn.Sequential(OrderedDict(layers))


def initialize(network: nn.Module) -> None:
    """Draw fresh weights in place: He's normal for convolutions, by their fan-in.

    PyTorch's fan-out of a grouped convolution counts the channels of all groups; fan-in is right.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)


def build_network(architecture: Architecture) -> nn.Module:
    """The network of an architecture, its weights drawn from PyTorch's global generator.

    Returns:
        A module from images (N, C, H, W), float, to logits (N, classes).
    """
    network = SpectrumNetwork(architecture)
    with torch.no_grad():
        initialize(network)
    return network
