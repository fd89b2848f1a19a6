"""A training step of full-size Xception: as this project trains it, and as it is usually written.

    python benchmarks/family.py [--rounds 5] [--batch-size 8] [--threads 2]

The one written by hand is the usual port to PyTorch: modules and `nn.Sequential`, with PyTorch's
padding, the images as they come. It is given the weights of this project's network, and has to
compute the same outputs, before anything is timed. Ours is the step of a trial, with its gather of
images and its optimizer. In interleaved rounds, on a CPU, and medians are compared.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

from nas.architecture.presets import preset
from nas.engine.environment import describe_environment
from nas.network.build import build_network
from trials.data import DataConfig, load
from trials.recipe import recipe
from trials.step import Step
from trials.train import Resident, prepare

OURS, USUAL, LAID_OUT = "this project", "by hand", "by hand, channels_last"


class Module(nn.Module):
    """A module of Xception's figure 5: a branch, and around it a shortcut."""

    def __init__(self, channels: tuple[int, ...], stride: int, leading_relu: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (c_in, c_out) in enumerate(pairwise(channels)):
            layers += [nn.ReLU()] if i or leading_relu else []
            layers += [nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in, bias=False)]
            layers += [nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out, eps=1e-3)]
        layers += [nn.MaxPool2d(3, stride, padding=1)] if stride > 1 else []
        self.branch = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            conv = nn.Conv2d(channels[0], channels[-1], 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(channels[-1], eps=1e-3))

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = self.branch(x) + self.shortcut(x)
        return summed


def xception_by_hand(classes: int) -> nn.Module:
    """Xception (Chollet 2016, figure 5), its parameters in the order of this project's."""
    layers: list[nn.Module] = []
    for c_in, c_out, stride in ((3, 32, 2), (32, 64, 1)):
        layers += [nn.Conv2d(c_in, c_out, 3, stride, bias=False)]
        layers += [nn.BatchNorm2d(c_out, eps=1e-3), nn.ReLU()]
    # No ReLU between the stem's and the first module's convolution, which are one step apart.
    layers += [Module((64, 128, 128), 2, leading_relu=False)]
    layers += [Module((128, 256, 256), 2), Module((256, 728, 728), 2)]
    layers += [Module((728,) * 4, 1) for _ in range(8)]
    layers += [Module((728, 728, 1024), 2)]
    for c_in, c_out in ((1024, 1536), (1536, 2048)):
        layers += [nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in, bias=False)]
        layers += [
            nn.Conv2d(c_in, c_out, 1, bias=False),
            nn.BatchNorm2d(c_out, eps=1e-3),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, classes))


def give_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy the state of one network into another, in order.

    Raises:
        ValueError: they are not the same network.
    """
    given, taken = source.state_dict(), target.state_dict()
    shapes = [[tensor.shape for tensor in state.values()] for state in (given, taken)]
    if shapes[0] != shapes[1]:
        raise ValueError("the networks have other parameters, or in another order")
    target.load_state_dict(dict(zip(taken, given.values(), strict=True)))


def check_outputs(one: nn.Module, other: nn.Module, images: Tensor) -> float:
    """The largest difference of the outputs, relative to their scale.

    Raises:
        ValueError: it is more than float32 explains.
    """
    with torch.no_grad():
        expected, found = one.eval()(images), other.eval()(images)
    difference = float((expected - found).abs().max() / expected.abs().max())
    if not difference < 1e-4:
        raise ValueError(f"outputs differ by {difference:.1e} of their scale")
    return difference


def our_step(network: nn.Module, data: Resident, batch_size: int) -> Callable[[], None]:
    """The step of a trial."""
    usual = recipe("imagenet", epochs=1, batch_size=batch_size, polyak=0.0, dropout=0.0)
    prepare(network, data, usual)
    step = Step(network, data.train, usual, (0,))
    step.begin_epoch([0.0] * step.count)

    def run() -> None:
        step.position.zero_()
        step()

    return run


def usual_step(network: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], None]:
    """The step of a tutorial."""
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0, momentum=0.9, weight_decay=1e-5)

    def run() -> None:
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return run


def contenders(image_size: int, batch_size: int) -> tuple[dict[str, Callable[[], None]], float]:
    """The steps by name, and how far the outputs of the networks differ."""
    count = 2 * batch_size
    config = DataConfig(
        "synthetic", limit=count, validation=0.5, shape=(3, image_size, image_size), classes=2
    )
    data = Resident(load(config), torch.device("cpu"))
    network = build_network(
        preset("xception", classes=2, image_size=image_size, padding="symmetric")
    )
    by_hand = xception_by_hand(2)
    give_weights(network, by_hand)
    images, labels = data.train.batch(torch.arange(batch_size))
    difference = check_outputs(network, by_hand, images[:2])
    laid_out = copy.deepcopy(by_hand).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = {
        OURS: our_step(network, data, batch_size),
        USUAL: usual_step(by_hand, images.contiguous(), labels),
        LAID_OUT: usual_step(
            laid_out, images.contiguous(memory_format=torch.channels_last), labels
        ),
    }
    return steps, difference


def main(
    rounds: Annotated[int, typer.Option(help="Rounds, of which the median is taken.")] = 5,
    image_size: Annotated[int, typer.Option(help="Height and width of the images.")] = 299,
    batch_size: Annotated[int, typer.Option(help="Images of a step.")] = 8,
    threads: Annotated[int, typer.Option(help="Threads of PyTorch.")] = 2,
) -> None:
    """Print seconds of a step, ratios and the machine."""
    torch.set_num_threads(threads)
    steps, difference = contenders(image_size, batch_size)
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in track(range(rounds + 1), "rounds"):  # the first warms up
        order = list(steps)
        for name in order[round_ % 3 :] + order[: round_ % 3]:
            started = time.perf_counter()
            steps[name]()
            taken[name].append(time.perf_counter() - started)
    table = Table(title=f"A step of Xception, {image_size} x {image_size}, batch {batch_size}")
    for heading in ("", "seconds", "this project is faster by"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, seconds in taken.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[1:], taken[OURS][1:], strict=True))
        table.add_row(name, f"{statistics.median(seconds[1:]):.2f}", f"{ratio:.2f}")
    console, environment = Console(width=100), describe_environment()
    console.print(table)
    console.print(
        f"{environment['processor']}, {threads} threads, torch {environment['versions']['torch']}, "
        f"{environment['date']}; outputs equal to {difference:.0e} of their scale"
    )


if __name__ == "__main__":
    typer.run(main)
