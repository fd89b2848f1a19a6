"""Latency of networks by runtime, threads, batch and layout, measured side by side on a CPU."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from nas.architecture.modules import Shape
from nas.network.exportable import Exportable
from nas.network.exported_model import load_format
from nas.network.formats import FORMATS, Format, check_formats, quiet_exporters
from nas.network.scratch import scratch_folder
from nas.network.source import Provenance
from trials.interleaved import Contender, Quartiles, time_interleaved
from trials.layout import layout_of

EAGER = "eager"
RUNTIMES = (EAGER, "onnx", "pte")
LAYOUTS = ("channels_last", "contiguous")


@dataclass(frozen=True)
class Setting:
    """How a network is run.

    Attributes:
        runtime: of `RUNTIMES`.
        layout: of `LAYOUTS`; empty of a runtime that has its own.
    """

    runtime: str
    threads: int
    batch: int
    layout: str


@dataclass(frozen=True)
class TimedNetwork:
    """A network that is measured.

    Attributes:
        key: of its architecture.
        network: in evaluation mode; what it was trained to does not matter.
        input_shape: (channels, height, width), or (channels, frames, height, width) of clips.
        folder: of an export: its files are measured, where it has them.
    """

    name: str
    key: str
    network: nn.Module
    input_shape: Shape
    folder: Path | None = None


def settings_of(
    runtimes: Sequence[str], threads: Sequence[int], batches: Sequence[int], layouts: Sequence[str]
) -> tuple[Setting, ...]:
    """Every combination; layouts are of PyTorch alone."""
    return tuple(
        Setting(runtime, count, batch, layout)
        for runtime, count, batch in product(runtimes, threads, batches)
        for layout in (layouts if runtime == EAGER else ("",))
    )


def time_networks(
    networks: Sequence[TimedNetwork],
    settings: Sequence[Setting],
    on_round: Callable[[int], object] = lambda _round: None,
) -> list[tuple[TimedNetwork, Setting, Quartiles]]:
    """Measure each network in each setting, all of them interleaved, on noise.

    Raises:
        ArchitectureError: a runtime has no layers for clips, which a network takes.
        NoModel: a file of an exported folder is damaged, or another network's.
    """
    runtimes = {setting.runtime for setting in settings} - {EAGER}
    for network in networks:
        check_formats(runtimes, network.input_shape)
    pairs = list(product(networks, settings))
    threads = torch.get_num_threads()
    with scratch_folder("nas-latency-") as scratch:
        try:
            contenders = [_contender(*pair, scratch) for pair in pairs]
            with torch.inference_mode():
                found = time_interleaved(contenders, torch.device("cpu"), on_round)
        finally:
            torch.set_num_threads(threads)
    return [(*pair, quartiles) for pair, quartiles in zip(pairs, found, strict=True)]


def _contender(timed: TimedNetwork, setting: Setting, scratch: Path) -> Contender:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(setting.batch, *timed.input_shape, generator=generator)
    if setting.runtime == EAGER:
        channels_last = setting.layout == "channels_last"
        layout = layout_of(timed.network) if channels_last else torch.contiguous_format
        network = copy.deepcopy(timed.network).to(memory_format=layout)  # type: ignore[call-overload]
        inputs = images.contiguous(memory_format=layout)
        return Contender(lambda: torch.set_num_threads(setting.threads), lambda: network(inputs))
    format_ = FORMATS[setting.runtime]
    file = _file(timed, format_, scratch)
    run = load_format(format_, file, timed.key, setting.threads)
    if format_.takes_stored is not None and format_.takes_stored(file):
        images = _stored(images)
    return Contender(lambda: None, lambda: run(images))  # it has threads of its own


def _stored(images: Tensor) -> Tensor:
    """Images of the same number and size as they are stored, (N, H, W, C) uint8."""
    return (images.movedim(1, -1) * 64 + 128).clamp(0, 255).to(torch.uint8)


def _file(timed: TimedNetwork, format_: Format, scratch: Path) -> Path:
    """That of the exported folder, or one that is written now."""
    if timed.folder is not None and (timed.folder / format_.file).is_file():
        return timed.folder / format_.file
    file = scratch / f"{timed.key}.{format_.file}"
    if not file.exists():
        images = torch.randn(2, *timed.input_shape)
        with quiet_exporters():
            exportable = Exportable(timed.network, images, images, Provenance(timed.name))
            format_.write(exportable, file)
    return file
