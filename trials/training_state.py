"""All that a training's next step depends on, as tensors by name: to be kept, and put back.

Weights have the names of the plain network, whichever kernels compute it. What can be computed
again is left out: the order of an epoch's images comes from its generator as it was before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from trials.accelerated import Accelerated
from trials.fused_sgd import FusedSGD
from trials.step import Step


class OtherState(ValueError):
    """A state is of another network, or of another optimizer."""


def state_of(step: Step, orders: list[Tensor]) -> dict[str, Tensor]:
    """The state between two steps, on the CPU: as it is now, and as long as no step is made.

    Args:
        orders: states of the generators of the order, as before the epoch that is under way.
    """
    live = dict(_tensors(step)) | dict(_optimizer_tensors(step))
    live |= {f"generator.order.{i}": state for i, state in enumerate(orders)}
    live |= {
        f"generator.augmentation.{i}": generator.get_state()
        for i, generator in enumerate(step.augmentations)
    }
    live["generator.cpu"] = torch.get_rng_state()
    if step.rate.device.type == "cuda":
        live["generator.gpu"] = torch.cuda.get_rng_state(step.rate.device)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in live.items()}


@torch.no_grad()
def put_back(step: Step, tensors: Mapping[str, Tensor]) -> None:
    """Make a new step go on from a state; its orders are those of before the epoch.

    Raises:
        OtherState: it is of another network or optimizer.
    """
    try:
        for name, tensor in _tensors(step):
            if tensor.shape != tensors[name].shape:
                raise OtherState(f"{name} has another shape")
            tensor.copy_(tensors[name])
        _put_back_optimizer(step, tensors)
        for i, generator in enumerate(step.orders):
            generator.set_state(tensors[f"generator.order.{i}"])
        for i, generator in enumerate(step.augmentations):
            generator.set_state(tensors[f"generator.augmentation.{i}"])
        torch.set_rng_state(tensors["generator.cpu"])
        if step.rate.device.type == "cuda" and "generator.gpu" in tensors:
            torch.cuda.set_rng_state(tensors["generator.gpu"], step.rate.device)
    except KeyError as error:
        raise OtherState(f"there is no {error.args[0]}") from None
    if step.copies:
        step.copies.refresh()


def _tensors(step: Step) -> Iterator[tuple[str, Tensor]]:
    """Weights, statistics, their average, and the losses of the epoch."""
    for name, tensor in _plain(step.network).state_dict().items():
        yield f"network.{name}", tensor
    if step.average:
        for name, tensor in _plain(step.average.network).state_dict().items():
            yield f"average.{name}", tensor
        yield "average_updates", step.average.updates
    yield "losses", step.losses


def _optimizer_tensors(step: Step) -> Iterator[tuple[str, Tensor]]:
    """What the optimizer knows of each parameter, once it has moved it."""
    for parameter, name in _names(step).items():
        for kind, tensor in step.optimizer.state.get(parameter, {}).items():
            yield f"optimizer.{kind}.{name}", tensor


def _put_back_optimizer(step: Step, tensors: Mapping[str, Tensor]) -> None:
    """In the layout of each parameter, in which the gradients will be."""
    by_parameter: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, kind, name = key.split(".", 2)
            by_parameter.setdefault(name, {})[kind] = tensor
    for parameter, name in _names(step).items():
        known = {
            kind: _like(parameter, tensor) for kind, tensor in by_parameter.get(name, {}).items()
        }
        if not known:
            continue
        if isinstance(step.optimizer, FusedSGD):
            step.optimizer.velocities[parameter] = known["velocity"]
        else:
            step.optimizer.state[parameter] = known


def _like(parameter: Tensor, tensor: Tensor) -> Tensor:
    if tensor.shape != parameter.shape:  # a number of steps
        return tensor.clone().to(parameter.device)
    return torch.empty_like(parameter).copy_(tensor)


def _names(step: Step) -> dict[Tensor, str]:
    return {parameter: name for name, parameter in _plain(step.network).named_parameters()}


def _plain(network: nn.Module) -> nn.Module:
    """The one with the parameters, as it is in memory."""
    return network.network if isinstance(network, Accelerated) else network
