"""Weights in 4 bits, to be stored and sent: ``model.py`` computes with them in float32."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from nas.network.exportable import Exportable, Run
from nas.network.exported_module import import_model

GROUP = 16
"""Most weights to a scale and a lowest value."""


def write_int4(_exportable: Exportable, path: Path) -> None:
    """The weights beside it, those of convolutions and the linear head packed."""
    packed: dict[str, Tensor] = {}
    with safe_open(path.with_name("weights.safetensors"), "pt") as weights:
        metadata = weights.metadata()
        for name in weights.keys():  # noqa: SIM118  # it is no mapping
            weight = weights.get_tensor(name)
            if weight.ndim < 2:
                packed[name] = weight
            else:
                codes, scales, lowest = pack(weight)
                packed |= {name: codes, f"{name}.scale": scales, f"{name}.lowest": lowest}
    save_file(packed, path, metadata)


def load_int4(path: Path, _threads: int = 1) -> Run:
    """By the ``model.py`` beside it."""
    run: Run = import_model(path.parent).load(path)
    return run


def pack(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (outputs, ...) in groups along the inputs, two to a byte.

    As Q4_1 of llama.cpp: 16 steps from the lowest weight of a group to the highest. Groups have the
    same number of weights; zeros fill the last.

    Returns:
        Bytes, uint8, the even places in the low halves; of each group (outputs, groups) the step
        and the lowest weight, float16.
    """
    rows = weight.flatten(1)
    groups = math.ceil(rows.shape[1] / GROUP)
    size = math.ceil(rows.shape[1] / groups)
    grouped = F.pad(rows, (0, groups * size - rows.shape[1])).reshape(len(rows), groups, size)
    lowest = grouped.amin(dim=2, keepdim=True).half()
    scales = ((grouped.amax(dim=2, keepdim=True) - lowest.float()) / 15).half()
    steps = torch.where(scales == 0, 0, (grouped - lowest.float()) / scales.float())
    codes = steps.round().clamp(0, 15).to(torch.uint8).flatten()
    codes = F.pad(codes, (0, len(codes) % 2))
    return codes[::2] | codes[1::2] << 4, scales.squeeze(2), lowest.squeeze(2)
