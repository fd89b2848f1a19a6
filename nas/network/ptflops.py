"""MACs as ptflops counts them on the built network: a second opinion on the closed form."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
from unittest import mock

import torch
from torch import nn

from nas.architecture.cost import count_cost
from nas.architecture.layers import network_layers
from nas.architecture.modules import Shape
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture
from nas.network.build import build

SMALL_MACS = 100_000_000
"""Of a network that is run in some milliseconds."""


def count_macs_with_ptflops(network: nn.Module, input_shape: Shape) -> int:
    """MACs of one image as ptflops counts them on a copy of the network.

    ptflops adds one for each output of a layer with a bias; those are taken off again.

    Raises:
        RuntimeError: the network cannot run on this input.
    """
    from ptflops import get_model_complexity_info
    from ptflops.aten_engine import FlopCounterMode

    # A copy, because ptflops leaves hooks behind and switches the module to evaluation.
    probe = copy.deepcopy(network)
    for module in probe.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear):
            module.bias = None
    # PyTorch has its compiler leave this mode alone, for which alone it would load it: a second.
    counting = inspect.unwrap(FlopCounterMode.__torch_dispatch__)
    with mock.patch.object(FlopCounterMode, "__torch_dispatch__", counting):
        macs, _ = get_model_complexity_info(
            probe, input_shape, as_strings=False, print_per_layer_stat=False, backend="aten"
        )
    if macs is None:
        raise RuntimeError(f"ptflops could not run the network on an input of {input_shape}")
    return int(macs)


def compare_with_ptflops(architecture: Architecture | Reference) -> str:
    """What ptflops counts, in words: ``ptflops counts 8,357,403,496 MACs: the same``.

    Where ptflops fails that is said: a second opinion that cannot be had is no reason to stop.
    """
    closed_form = count_cost(architecture).macs
    # The weights are not drawn. Nor is there memory for them, and nothing is computed, in a network
    # that is large; for one that is not it is quicker to compute than to load what that takes.
    with torch.device("meta"):
        network = build(network_layers(architecture))
    device = torch.device("cpu" if closed_form <= SMALL_MACS else "meta")
    try:
        # ptflops prints its tracebacks.
        with (
            device,
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            macs = count_macs_with_ptflops(
                network.to_empty(device=device), architecture.input_shape
            )
    except Exception:  # of a library that is not ours
        return "ptflops could not count it"
    if macs == closed_form:
        return f"ptflops counts {macs:,} MACs: the same"
    return f"ptflops counts {macs:,} MACs, which differs from the closed form's {closed_form:,}"
