"""Export a published network that nobody has trained: to look at, convert or time it elsewhere."""

from __future__ import annotations

from pathlib import Path

import torch

from nas.architecture.cost import count_cost
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture
from nas.network.build import build_network
from nas.network.export import export_network
from nas.network.formats import SOURCE_ALONE, FormatOptions
from nas.network.source import Provenance


def export_published(
    name: str,
    network: Architecture | Reference,
    output: Path,
    formats: FormatOptions = SOURCE_ALONE,
) -> Path:
    """Write a network with fresh weights, the same ones each time.

    Args:
        name: with its options, as it was typed.
        formats: that are written beside ``model.py``; none that is judged by labelled images.

    Raises:
        ArchitectureError: a part of a network, which has no classes.
        ExportError: the exported files compute something else.
    """
    classes = network.classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = build_network(network)
    cost = count_cost(network)
    summary = (
        f"{cost.params:,} trainable parameters, {cost.macs:,} MACs, {classes} classes.",
        "Its weights are fresh: it was not trained.",
    )
    text = "\n\n".join((f"# {name}", *summary)) + "\n"
    return export_network(network, built, output, Provenance(name, summary), text, formats)
