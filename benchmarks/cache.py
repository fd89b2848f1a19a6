"""Memory and speed of a training on pictures in the cache, and on the same ones in memory.

Draws JPEGs, then loads and trains on them for an epoch, each time in a fresh process: decoded into
the cache, from the cache, and, where they fit, in memory. Peak memory is the kernel's (`VmHWM`), in
which pages of files that are mapped count.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from nas.architecture.specification import Architecture, Block, SpectrumPoint, Stem
from nas.engine.environment import describe_environment
from nas.network.build import build_network
from trials.data import DataConfig, load
from trials.recipe import RECIPES
from trials.train import Resident, seed_weights, train
from trials.trial import prepare_process

CLASSES = 10


@dataclass(frozen=True)
class Run:
    """What a process needed.

    Attributes:
        load_seconds: until images, statistics and fingerprint were there.
        images_per_second: of the training.
        peak: bytes resident, at most.
        anonymous: bytes resident at the end that are of no file.
        of_files: bytes resident at the end that are pages of files: programs, and maps.
        result: of the data and the training, which has to be the same in all runs.
    """

    load_seconds: float
    images_per_second: float
    peak: int
    anonymous: int
    of_files: int
    result: tuple[object, ...]


def draw(folder: Path, images: int, size: int) -> None:
    """Smooth patterns, about as large as photographs once they are JPEGs."""
    rng = np.random.default_rng(0)
    for index in track(range(images), "drawing"):
        file = folder / f"class {index % CLASSES}" / f"{index:06}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(file)


def run(source: str, memory: int | None) -> Run:
    """Load and train for an epoch, in a process of its own."""
    prepare_process(1)
    started = time.perf_counter()
    data = load(DataConfig(source, memory=memory))
    fingerprint = data.summary.fingerprint
    load_seconds = time.perf_counter() - started
    resident = Resident(data, torch.device("cpu"))
    blocks = tuple(Block((c,), SpectrumPoint("C"), stride=2) for c in (16, 32))
    recipe = replace(RECIPES["proxy"], epochs=1, batch_size=64, crop=0, flip=False)
    seed_weights(recipe, 0)
    network = build_network(Architecture(data.input_shape, CLASSES, Stem((8,), 4), blocks))
    training = train(network, resident, recipe, seed=0)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak, anonymous, of_files = (
        int(status[name].split()[0]) * 1024 for name in ("VmHWM", "RssAnon", "RssFile")
    )
    rate = training.images / training.seconds
    return Run(load_seconds, rate, peak, anonymous, of_files, (fingerprint, training.curve))


def in_fresh_process(source: str, memory: int | None) -> Run:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(run, source, memory).result()


@contextmanager
def workplace(folder: Path | None) -> Iterator[Path]:
    """A folder that is kept, or one that is not."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="nas-cache-") as temporary:
        yield Path(temporary)


def main(
    images: Annotated[int, typer.Option(help="Pictures to draw.")] = 2000,
    size: Annotated[int, typer.Option(help="Height and width of each.")] = 224,
    folder: Annotated[
        Path | None, typer.Option(help="Keep pictures and cache there; default: nowhere.")
    ] = None,
    in_memory: Annotated[bool, typer.Option(help="Train from memory, too.")] = True,
) -> None:
    """Print seconds, images per second and resident memory of each process."""
    table = Table(title=f"{images:,} JPEGs of {size} x {size}: an epoch on one thread")
    for heading in ("images", "load, s", "images/s", "peak, MB", "anonymous, MB", "of files, MB"):
        table.add_column(heading, justify="left" if heading == "images" else "right")
    with workplace(folder) as place:
        os.environ["XDG_CACHE_HOME"] = str(place / "cache")
        pictures = place / f"{images} of {size}"
        if not pictures.is_dir():
            draw(pictures, images, size)
        runs: dict[str, int | None] = {"decoded into the cache": 0, "from the cache": 0}
        if in_memory:
            runs["in memory"] = None
        found = {}
        for name, memory in runs.items():
            found[name] = done = in_fresh_process(f"images:{pictures}", memory)
            megabytes = (
                f"{size / 1e6:,.0f}" for size in (done.peak, done.anonymous, done.of_files)
            )
            rate = f"{done.images_per_second:,.0f}"
            table.add_row(name, f"{done.load_seconds:,.1f}", rate, *megabytes)
    console = Console(width=110)
    console.print(table)
    same = len({done.result for done in found.values()}) == 1
    console.print(f"fingerprints and curves are {'the same' if same else 'DIFFERENT'}")
    environment = describe_environment()
    console.print(
        f"{environment['processor']}, {environment['cores']} cores, {environment['date']}"
    )


if __name__ == "__main__":
    typer.run(main)
