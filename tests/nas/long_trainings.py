"""Trainings by the command in processes of their own, which are killed, asked to end, or let be."""

from __future__ import annotations

import multiprocessing
import os
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image

from nas import Architecture, Block, SpectrumPoint, Stem
from tests.forkserver import forkserver

NETWORK = Architecture(
    (1, 8, 8),
    10,
    Stem((8,)),
    (Block((12,), SpectrumPoint("C/4", "relu"), stride=2), Block((16,), SpectrumPoint("C"))),
)


def arguments(output: Path, epochs: int, *more: str) -> list[str]:
    """Of a training of some hundred steps on the digits."""
    network = output.parent / "network.json"
    network.write_text(NETWORK.to_json())
    return [
        *("--architecture", str(network), "--data", "digits", "--recipe", "final"),
        *("--epochs", str(epochs), "--threads", "1", "--output", str(output)),
        *("--checkpoint-minutes", "0.002", "--set", "training.batch_size=32", *more),
    ]


def of_pictures(output: Path, epochs: int) -> list[str]:
    """The same on pictures of 40 pixels, of which random parts are decoded at each step."""
    source = f"images:{_pictures(output.parent.parent)}"
    return arguments(output, epochs, "--data", source, "--set", "training.resized_crop=0.2")


def _pictures(where: Path) -> Path:
    """A folder of forty pictures of each class."""
    folder = where / "pictures"
    if not folder.exists():
        rng = np.random.default_rng(0)
        for label in map(str, range(10)):
            (folder / label).mkdir(parents=True)
            for number in range(40):
                pixels = rng.integers(0, 25 * int(label) + 20, (40, 40), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


def start(command: list[str], said: Path, fault: str | None = None) -> multiprocessing.Process:
    """A process of the command.

    Args:
        said: gets all that it prints.
        fault: for `trials.failpoint`.
    """
    process = forkserver.Process(target=_run, args=(command, said, fault))
    process.start()
    return process


def finish(command: list[str], said: Path, fault: str | None = None, within_s: float = 120) -> int:
    """The status that it ends with; of a signal its number below zero."""
    process = start(command, said, fault)
    process.join(within_s)
    assert process.exitcode is not None
    return process.exitcode


def _run(command: list[str], said: Path, fault: str | None) -> None:
    from trials import failpoint

    failpoint._fault = failpoint._fault_of(fault)
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1)
    sys.argv = ["nas-train", *command]
    import_module("nas.train").app()
