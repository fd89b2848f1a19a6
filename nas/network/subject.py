"""An architecture as what a trial trains."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from nas.architecture.cost import Cost
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture
from nas.kernels.network import accelerate
from nas.network.build import build_network
from nas.network.side_by_side import side_by_side
from nas.network.slicing import build_slice
from trials.trial import Subject


def subject_of(
    architecture: Architecture | Reference, cost: Cost, shared: Mapping[str, Tensor] | None = None
) -> Subject:
    """The subject of an architecture's trial: in a search and wherever else it is trained alike.

    Args:
        cost: of the architecture, which is counted once for all its trainings.
        shared: weights of a shared network, that it begins with a slice of.
    """
    # Dropout would draw for all networks at once, and not as for each by itself, and whose channels
    # are whose in clips is known to no layer of several networks.
    alone = (
        isinstance(architecture, Reference) or architecture.dropout > 0 or architecture.dims == 3
    )
    return Subject(
        key=architecture.key,
        description=architecture.to_json(),
        build=partial(_built, architecture, shared),
        input_shape=architecture.input_shape,
        macs=cost.macs,
        params=cost.params,
        join=None if alone else side_by_side,
        accelerate=partial(accelerate, architecture),
    )


def _built(
    architecture: Architecture | Reference, shared: Mapping[str, Tensor] | None
) -> nn.Module:
    if shared is None or isinstance(architecture, Reference):
        return build_network(architecture)
    return build_slice(shared, architecture)
