"""Keras' own networks with weights that tell mistakes: He's scale, statistics of real images.

With Keras' default weights activations shrink to 1e-4, and any mistake passes.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

TOLERANCE = 1e-4
"""Of the scale of the logits."""


def keras():
    """Keras on PyTorch; the test is skipped where it is not installed."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    return pytest.importorskip("keras", reason="needs the development extra: pip install keras")


def images(size: int, count: int = 4) -> np.ndarray:
    """(N, H, W, 3), smooth and from -1 to 1, as photographs are after Keras' preprocessing."""
    random = torch.Generator().manual_seed(size)
    coarse = torch.rand(count, 3, 6, 6, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic")
    return (2 * smooth.clamp(0, 1) - 1).permute(0, 2, 3, 1).numpy()


def trained_like(model, size: int):
    """Give a Keras network weights that a training might have left; returns it."""
    random = np.random.default_rng(0)
    norms = [layer for layer in model.layers if layer.__class__.__name__ == "BatchNormalization"]
    for layer in model.layers:
        layer.set_weights([_drawn(w.path, w.shape, random) for w in layer.weights])
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0  # statistics of one batch
    with torch.no_grad():
        model(images(size, 16), training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    return model


def _drawn(path: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    name = path.rsplit("/", 1)[1]
    if name == "gamma":
        return random.uniform(0.5, 1.5, shape)
    if name == "beta":  # not about 0, where rounding grows by a fifth with each ReLU
        return random.normal(1, 0.3, shape)
    if name in ("moving_mean", "bias"):
        return random.normal(0, 0.1, shape)
    if name == "moving_variance":
        return np.ones(shape)
    depthwise = "depthwise" in path or "conv_dw" in path
    fan_in = np.prod(shape[:2]) if depthwise else np.prod(shape[:-1])
    return random.normal(0, np.sqrt(2 / fan_in), shape)


def logits(model, size: int) -> torch.Tensor:
    with torch.no_grad():
        found = model(images(size), training=False)
    return torch.as_tensor(np.asarray(found)).cpu()


def deviation(network: torch.nn.Module, expected: torch.Tensor, size: int) -> float:
    """The largest difference of outputs, relative to their scale."""
    with torch.inference_mode():
        found = network.eval()(torch.from_numpy(images(size)).permute(0, 3, 1, 2))
    return float((found - expected).abs().max() / expected.std())
