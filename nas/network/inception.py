"""Inception V3 (Szegedy 2015, figures 5 to 7), the paper's baseline, as a reference module.

Its modules mix factorized kernels that no single spectrum point describes, so it is not an
`Architecture`. It has no auxiliary head: 23,834,568 parameters, 5,713,216,096 MACs at 299 x 299.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

Kernel = int | tuple[int, int]


def _conv(
    c_in: int, c_out: int, kernel: Kernel, stride: int = 1, padding: Kernel = 0
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(c_out, eps=1e-3),
        nn.ReLU(),
    )


def _average_pool() -> nn.Module:
    return nn.AvgPool2d(3, stride=1, padding=1)


class _Towers(nn.Module):
    """Parallel towers over the same input, concatenated: the shape of every Inception module."""

    def __init__(self, *towers: nn.Module) -> None:
        super().__init__()
        self.towers = nn.ModuleList(towers)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([tower(x) for tower in self.towers], dim=1)


def _module_35(c_in: int, pool_channels: int) -> nn.Module:
    """Figure 5 with a 5x5 tower, on the 35 x 35 grid."""
    return _Towers(
        _conv(c_in, 64, 1),
        nn.Sequential(_conv(c_in, 48, 1), _conv(48, 64, 5, padding=2)),
        nn.Sequential(_conv(c_in, 64, 1), _conv(64, 96, 3, padding=1), _conv(96, 96, 3, padding=1)),
        nn.Sequential(_average_pool(), _conv(c_in, pool_channels, 1)),
    )


def _reduction_17(c_in: int) -> nn.Module:
    """Figure 10: 35 x 35 to 17 x 17."""
    return _Towers(
        _conv(c_in, 384, 3, stride=2),
        nn.Sequential(_conv(c_in, 64, 1), _conv(64, 96, 3, padding=1), _conv(96, 96, 3, stride=2)),
        nn.MaxPool2d(3, stride=2),
    )


def _module_17(c: int) -> nn.Module:
    """Figure 6 with n = 7, on the 17 x 17 grid; ``c`` channels inside its 7 x 7 towers."""
    row, column = (1, 7), (7, 1)
    pad_row, pad_column = (0, 3), (3, 0)
    return _Towers(
        _conv(768, 192, 1),
        nn.Sequential(
            _conv(768, c, 1),
            _conv(c, c, row, padding=pad_row),
            _conv(c, 192, column, padding=pad_column),
        ),
        nn.Sequential(
            _conv(768, c, 1),
            _conv(c, c, column, padding=pad_column),
            _conv(c, c, row, padding=pad_row),
            _conv(c, c, column, padding=pad_column),
            _conv(c, 192, row, padding=pad_row),
        ),
        nn.Sequential(_average_pool(), _conv(768, 192, 1)),
    )


def _reduction_8() -> nn.Module:
    """17 x 17 to 8 x 8."""
    return _Towers(
        nn.Sequential(_conv(768, 192, 1), _conv(192, 320, 3, stride=2)),
        nn.Sequential(
            _conv(768, 192, 1),
            _conv(192, 192, (1, 7), padding=(0, 3)),
            _conv(192, 192, (7, 1), padding=(3, 0)),
            _conv(192, 192, 3, stride=2),
        ),
        nn.MaxPool2d(3, stride=2),
    )


def _split_3x3() -> nn.Module:
    return _Towers(_conv(384, 384, (1, 3), padding=(0, 1)), _conv(384, 384, (3, 1), padding=(1, 0)))


def _module_8(c_in: int) -> nn.Module:
    """Figure 7, on the 8 x 8 grid."""
    return _Towers(
        _conv(c_in, 320, 1),
        nn.Sequential(_conv(c_in, 384, 1), _split_3x3()),
        nn.Sequential(_conv(c_in, 448, 1), _conv(448, 384, 3, padding=1), _split_3x3()),
        nn.Sequential(_average_pool(), _conv(c_in, 192, 1)),
    )


class InceptionV3(nn.Module):
    """(N, 3, 299, 299) -> (N, classes) logits."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _conv(3, 32, 3, stride=2),
            _conv(32, 32, 3),
            _conv(32, 64, 3, padding=1),
            nn.MaxPool2d(3, stride=2),
            _conv(64, 80, 1),
            _conv(80, 192, 3),
            nn.MaxPool2d(3, stride=2),
            _module_35(192, 32),
            _module_35(256, 64),
            _module_35(288, 64),
            _reduction_17(288),
            _module_17(128),
            _module_17(160),
            _module_17(160),
            _module_17(192),
            _reduction_8(),
            _module_8(1280),
            _module_8(2048),
        )
        self.linear = nn.Linear(2048, classes)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.features(x)  # (N, 2048, 8, 8)
        logits: Tensor = self.linear(features.mean(dim=(2, 3)))
        return logits
