"""The shared network of a search: trained once, before the first trial begins with a slice of it.

In the driver's own process, on a GPU where trials have one and there is one here. Killed meanwhile,
it begins again; once the database has the SHA-256 of its weights, they are read.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save

from nas.architecture.specification import Architecture, ArchitectureError
from nas.engine.outcome import SearchFailed
from nas.engine.trial_spec import trial_seed
from nas.network.shared_network import SharedNetwork
from nas.space import SearchSpace
from nas.space.quantities import duration, format_count
from nas.study.shared_weights import SharedWeights, read_shared, shared_file
from trials.atomic_file import atomic_write
from trials.data import ImageData
from trials.recipe import Recipe
from trials.train import Diverged, Resident, Training, seed_weights, train
from trials.trial import prepare_process

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
        SearchFailed: the training of the shared network diverged.
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
    """Train it and write its weights."""
    space = runner.space
    recipe = shared_recipe(space)
    runner.say(f"training the shared network for {recipe.epochs} epochs, before the first trial")
    try:
        training = train_shared(space, data, recipe, runner.budget.check)
    except Diverged as error:
        rule = f"the training of the shared network diverged: {error}"
        raise SearchFailed(f"{rule}\nhint: a lower training.learning_rate") from error
    network = training.network
    assert isinstance(network, SharedNetwork)
    dense = {n: w.detach().cpu().contiguous() for n, w in network.dense.items()}
    shared = SharedWeights(save(dense))
    with atomic_write(shared_file(runner.place.folder)) as file:
        file.write(shared.content)
    params = format_count(sum(weight.numel() for weight in dense.values()))
    runner.say(f"the shared network of {params} parameters took {duration(training.seconds)}")
    return shared


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
    """
    resources = space.file.resources
    prepare_process(resources.threads)
    on_gpu = resources.gpus_per_trial > 0 and torch.cuda.is_available()
    resident = Resident(replace(data, half=None), torch.device("cuda" if on_gpu else "cpu"))
    seed = trial_seed(space.file.study.seed, "shared", 0)
    seed_weights(recipe, seed)
    network = SharedNetwork(space.widest, _points(space, random.Random(seed)))
    return train(network, resident, recipe, seed, lambda _epoch: check())


def _points(space: SearchSpace, rng: random.Random) -> Callable[[], Architecture]:
    """Draws points, whatever they cost; a combination that cannot exist is drawn again."""

    def draw() -> Architecture:
        while True:
            try:
                return space.draw_unlimited(lambda parameter: rng.choice(parameter.choices))
            except ArchitectureError:
                continue

    return draw
