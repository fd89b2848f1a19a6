"""MACs as ptflops counts them on the built network: a second opinion on the closed form."""

from __future__ import annotations

import copy

from torch import nn


def count_macs_with_ptflops(network: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """MACs of one image as ptflops counts them on a copy of the network.

    ptflops adds one for each output of a layer with a bias; those are taken off again.

    Raises:
        RuntimeError: the network cannot run on this input.
    """
    from ptflops import get_model_complexity_info

    # A copy, because ptflops leaves hooks behind and switches the module to evaluation.
    probe = copy.deepcopy(network)
    for module in probe.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.bias = None
    macs, _ = get_model_complexity_info(
        probe, input_shape, as_strings=False, print_per_layer_stat=False, backend="aten"
    )
    if macs is None:
        raise RuntimeError(f"ptflops could not run the network on an input of {input_shape}")
    return int(macs)
