"""The machines of a Ray: started or connected to, what they have, what they can open."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trials.data.image_file import ImageFile
from trials.data.images import ImageData, Split


class ResourceError(ValueError):
    """The cluster cannot run a single trial with the resources that were asked for."""


@dataclass(frozen=True)
class Resources:
    """What each trial occupies."""

    cpus: float
    gpus: float


@contextmanager
def cluster(address: str | None = None) -> Iterator[None]:
    """A Ray cluster: one that runs already, or one on this machine for as long as it is needed.

    Where the program has connected Ray itself, that is what it wants to be used.
    """
    if address is None and ray.is_initialized():
        yield
        return
    local = {"address": "local", "include_dashboard": False}
    ray.init(
        log_to_driver=False,
        logging_level=logging.ERROR,
        **({"address": address} if address else local),
    )
    try:
        yield
    finally:
        ray.shutdown()


def check_resources(resources: Resources) -> None:
    """Check that some node can run a trial.

    Raises:
        ResourceError: none can.
    """
    if capacity(resources) == 0:
        raise ResourceError(
            f"a trial needs {resources.cpus:g} CPUs and {resources.gpus:g} GPUs of one node; "
            f"the nodes have {_offer()}"
        )


def check_files(data: ImageData, test: Split | None) -> None:
    """Check that each node can open the files that images are read from.

    Raises:
        DataError: one cannot.
    """
    splits = [data.train, data.validation, *([test] if test is not None else [])]
    files = [split.images for split in splits if isinstance(split.images, ImageFile)]
    if not files:
        return

    @ray.remote(num_cpus=0)
    def open_files() -> None:
        for file in files:
            file.open()

    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    there = (NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes)
    try:
        ray.get([open_files.options(scheduling_strategy=node).remote() for node in there])
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None


def _nodes() -> list[dict[str, float]]:
    """Resources of each node that is alive."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]


def capacity(resources: Resources) -> int:
    """How many trials run at once, over all nodes."""
    wanted = {"CPU": resources.cpus, "GPU": resources.gpus}
    return sum(
        min(int(node.get(kind, 0) / amount) for kind, amount in wanted.items() if amount)
        for node in _nodes()
    )


def _offer() -> str:
    return ", ".join(f"{n.get('CPU', 0):g} CPUs and {n.get('GPU', 0):g} GPUs" for n in _nodes())
