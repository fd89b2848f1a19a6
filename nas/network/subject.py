"""An architecture as what a trial trains."""

from __future__ import annotations

from functools import partial

from nas.architecture.cost import Cost
from nas.architecture.specification import Architecture
from nas.kernels.network import accelerate
from nas.network.build import build_network
from nas.network.side_by_side import side_by_side
from trials.trial import Subject


def subject_of(architecture: Architecture, cost: Cost) -> Subject:
    """The subject of an architecture's trial: in a search and wherever else it is trained alike.

    Args:
        cost: of the architecture, which is counted once for all its trainings.
    """
    return Subject(
        key=architecture.key,
        description=architecture.to_json(),
        build=lambda: build_network(architecture),
        input_shape=architecture.input_shape,
        macs=cost.macs,
        params=cost.params,
        join=None if architecture.dropout else side_by_side,  # dropout draws for all at once
        accelerate=partial(accelerate, architecture),
    )
