"""A small network and a quick recipe, for trainings of a moment, and the devices that they run on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from trials.recipe import Recipe

CPU = torch.device("cpu")
QUICK = Recipe(
    "quick", epochs=3, batch_size=32, learning_rate=0.05, schedule="one_cycle", warmup=0.2
)
# Each step multiplies the weights by a million.
EXPLODING = replace(QUICK, learning_rate=1.0, weight_decay=1e6, epochs=50)


def network(seed: int = 0, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(32, 4),
    )


def needs_gpu(test):
    skip = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    return pytest.mark.gpu(skip(test))
