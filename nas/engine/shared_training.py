"""The shared network of a search: trained once, before the first trial begins with a slice of it.

In the driver's own process, on a GPU where trials have one and there is one here. Killed meanwhile,
it begins again; once the database has the SHA-256 of its weights, they are read.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save
from torch import Tensor

from nas.architecture.layers import network_layers
from nas.architecture.specification import Architecture, ArchitectureError
from nas.engine.outcome import SearchFailed
from nas.engine.ray_failures import in_a_line
from nas.engine.trial_spec import trial_seed
from nas.network.build import build
from nas.network.shared_network import SharedNetwork
from nas.space import SearchSpace
from nas.space.quantities import duration, format_count
from nas.study.shared_weights import SharedWeights, read_shared, shared_file
from trials.atomic_file import atomic_write
from trials.data import ImageData
from trials.precision import Unsupported, check_convolutions
from trials.recipe import Precision, Recipe
from trials.train import Diverged, Resident, Training, seed_weights, train
from trials.trial import is_out_of_memory, prepare_process

if TYPE_CHECKING:
    from nas.engine.driver import Driver
    from nas.engine.stage import StageRunner

EPOCHS = 4
"""Of the shared network, as a multiple of those of one trial."""

_ATTRIBUTE = "shared"
"""Of the study: the SHA-256 of the shared weights."""


def warm_start(runner: StageRunner, driver: Driver, data: ImageData) -> None:
    """Let new trials begin with slices of the shared network, where the study says so.

    Raises:
        InputError: the weights of an earlier run are not there, or not as they were.
        SearchFailed: the training of the shared network diverged, or had no memory.
        TimeUp: no time is left for the first trial.
    """
    if runner.space.file.study.warm is None:
        return
    digest = driver.study.user_attrs.get(_ATTRIBUTE)
    if digest is None:
        driver.new.shared = _train(runner, data)
        driver.trials.keep(**{_ATTRIBUTE: driver.new.shared.digest})
    else:
        driver.new.shared = read_shared(runner.place.folder, str(digest))


def _train(runner: StageRunner, data: ImageData) -> SharedWeights:
    """Train it and write its weights; of its memory nothing but these is left to the driver."""
    recipe = shared_recipe(runner.space)
    runner.say(f"training the shared network for {recipe.epochs} epochs, before the first trial")
    threads = torch.get_num_threads()
    try:
        dense, seconds = _trained(runner, data, recipe)
    finally:
        torch.set_num_threads(threads)
    gc.collect()  # resident images are in a cycle with what is called before their batches
    torch.cuda.empty_cache()  # or it stays this process's while trials run
    shared = SharedWeights(save(dense))
    with atomic_write(shared_file(runner.place.folder)) as file:
        file.write(shared.content)
    params = format_count(sum(weight.numel() for weight in dense.values()))
    runner.say(f"the shared network of {params} parameters took {duration(seconds)}")
    return shared


def _trained(
    runner: StageRunner, data: ImageData, recipe: Recipe
) -> tuple[dict[str, Tensor], float]:
    """The weights, in main memory, and the seconds that their training took."""
    try:
        training = train_shared(runner.space, data, recipe, runner.budget.check)
    except Diverged as error:
        rule = f"the training of the shared network diverged: {error}"
        raise SearchFailed(f"{rule}\nhint: a lower training.learning_rate") from error
    except Unsupported as error:  # by the driver's machine, where trials are elsewhere
        rule = f"the shared network is trained here: {error}"
        raise SearchFailed(f"{rule}\nhint: training.precision: {error.hint}") from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        rule = f"the training of the shared network ran out of memory: {in_a_line(str(error))}"
        hint = "a smaller training.batch_size, or leave study.warm out"
        raise SearchFailed(f"{rule}\nhint: {hint}") from error
    network = training.network
    assert isinstance(network, SharedNetwork)
    dense = {n: w.detach().cpu().contiguous() for n, w in network.dense.items()}
    return dense, training.seconds


def shared_recipe(space: SearchSpace) -> Recipe:
    """The trials' own, for longer; each step is another network, and no step is replayed."""
    recipe = space.file.training.full_recipe
    return replace(recipe, epochs=EPOCHS * recipe.epochs, graph="off")


def train_shared(
    space: SearchSpace,
    data: ImageData,
    recipe: Recipe,
    check: Callable[[], None] = lambda: None,
) -> Training:
    """Train the shared network of a space: each step a point of every block, uniformly drawn.

    The seed follows from the study's: of images, augmentation, first weights and points.

    Args:
        check: called after each epoch; what it raises ends the training.

    Raises:
        Diverged: the loss of an epoch is not finite.
        Unsupported: the device has no arithmetic in the recipe's precision, or it is wrong.
    """
    resources = space.file.resources
    prepare_process(resources.threads)
    on_gpu = resources.gpus_per_trial > 0 and torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    check_points(space, recipe.precision, device)
    resident = Resident(replace(data, half=None), device)
    seed = trial_seed(space.file.study.seed, "shared", 0)
    seed_weights(recipe, seed)
    network = SharedNetwork(space.widest, _points(space, random.Random(seed)))
    return train(network, resident, recipe, seed, lambda _epoch: check())


def check_points(space: SearchSpace, precision: Precision | None, device: torch.device) -> None:
    """Refuse a precision that some point's convolutions are wrong in.

    They are no modules of the shared network, which computes with slices of its weights. Strides
    and sizes are those of the widest points of all orders.

    Raises:
        Unsupported: there is such a convolution.
    """
    if device.type != "cpu" or precision != "bfloat16":
        return
    for architecture in space.widest:
        with torch.device("meta"):
            network = build(network_layers(architecture))
            check_convolutions(network, torch.empty(1, *architecture.input_shape))


def _points(space: SearchSpace, rng: random.Random) -> Callable[[], Architecture]:
    """Draws points, whatever they cost; a combination that cannot exist is drawn again."""

    def draw() -> Architecture:
        while True:
            try:
                return space.draw_unlimited(lambda parameter: rng.choice(parameter.choices))
            except ArchitectureError:
                continue

    return draw
