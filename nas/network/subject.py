"""An architecture as what a trial trains."""

from __future__ import annotations

from functools import partial

from nas.architecture.cost import Cost
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture
from nas.kernels.network import accelerate
from nas.network.build import build_network
from nas.network.side_by_side import side_by_side
from trials.trial import Subject


def subject_of(architecture: Architecture | Reference, cost: Cost) -> Subject:
    """The subject of an architecture's trial: in a search and wherever else it is trained alike.

    Of a reference it is the same, though no search has one.

    Args:
        cost: of the architecture, which is counted once for all its trainings.
    """
    if isinstance(architecture, Reference):
        description, alone = architecture.name, True
    else:  # dropout would draw for all networks at once, and not as for each by itself
        # And whose channels are whose in clips is known to no layer of several networks.
        description = architecture.to_json()
        alone = architecture.dropout > 0 or architecture.dims == 3
    return Subject(
        key=architecture.key,
        description=description,
        build=lambda: build_network(architecture),
        input_shape=architecture.input_shape,
        macs=cost.macs,
        params=cost.params,
        join=None if alone else side_by_side,
        accelerate=partial(accelerate, architecture),
    )
