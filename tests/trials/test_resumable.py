"""A training that goes on from its checkpoints gives what one gives that was never interrupted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas import Architecture, Block, SpectrumPoint, Stem, build_network
from nas.kernels.network import accelerate
from tests.trials.training import CPU, EXPLODING, QUICK
from trials.accelerated import Accelerated
from trials.checkpoint import Checkpoints, OtherTraining
from trials.data import DataConfig, load
from trials.recipe import RECIPES
from trials.resumable import Watch, train_resumably
from trials.train import Diverged, Resident, seed_weights, train

NETWORK = Architecture(
    (3, 8, 8),
    4,
    Stem((6,)),
    (Block((7, 7), SpectrumPoint(3, "relu"), stride=2), Block((10,), SpectrumPoint("C"))),
)
SHORT = {"epochs": 2, "batch_size": 32}
ACCELERATE = partial(accelerate, NETWORK)


@pytest.fixture(scope="module")
def data():
    return load(DataConfig("synthetic", limit=250, shape=(3, 8, 8), classes=4))


def begun(recipe, seed=3):
    seed_weights(recipe, seed)
    return build_network(NETWORK)


def in_parts(folder, data, recipe, parts, on_kernels):
    """A training whose process ends after so many steps each time; what it is at last."""
    calls, resumed, parts = 0, False, iter(parts)
    while True:
        left = next(parts, None)

        def asked(left=left):
            nonlocal calls
            calls += 1
            return left is not None and calls >= left

        calls = 0
        network = begun(recipe)
        if resumed:  # whatever its process has drawn of PyTorch's generator
            torch.randn(11)
        kept = Checkpoints(folder, pytest.fail)
        resident, watch = Resident(data, CPU), Watch(asked)
        found = train_resumably(
            network, resident, recipe, 3, kept, {"a": "b"},
            watch=watch, accelerate=ACCELERATE if on_kernels else None,
        )  # fmt: skip
        if found is not None:
            return found
        resumed = True


@pytest.mark.parametrize("on_kernels", [False, True])
@pytest.mark.parametrize(("name", "mixup"), [*((name, 0.0) for name in RECIPES), ("final", 0.4)])
def test_bit_for_bit_with_every_recipe(tmp_path, data, name, mixup, on_kernels):
    """Momentum, averages, dropout, augmentation, mixtures and order; and what `train` gives."""
    recipe = replace(RECIPES[name], **SHORT, crop=1, flip=True, dropout=0.3, mixup=mixup)
    expected = train(
        begun(recipe), Resident(data, CPU), recipe, 3, accelerate=ACCELERATE if on_kernels else None
    )
    found = in_parts(tmp_path, data, recipe, [1, 3, 2, 1], on_kernels)
    assert found.curve == expected.curve
    assert found.kernels == expected.kernels
    weights = expected.network.state_dict()
    for tensor_name, tensor in found.network.state_dict().items():
        assert torch.equal(tensor, weights[tensor_name]), tensor_name


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 9), max_size=6))
def test_bit_for_bit_wherever_it_is_interrupted(tmp_path_factory, data, parts):
    recipe = replace(RECIPES["final"], **SHORT, flip=True)
    expected = train(begun(recipe), Resident(data, CPU), recipe, 3)
    found = in_parts(tmp_path_factory.mktemp("parts"), data, recipe, parts, on_kernels=False)
    assert found.curve == expected.curve
    for a, b in zip(found.network.parameters(), expected.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_of_the_kernels_is_of_the_plain_network(tmp_path, data):
    """Begun on the kernels, a training goes on with PyTorch, for example on a GPU."""
    recipe = replace(RECIPES["proxy"], **SHORT)
    kept = Checkpoints(tmp_path, pytest.fail)
    counts = iter((False, True))
    watch = Watch(lambda: next(counts))
    resident = Resident(data, CPU)
    network = begun(recipe)
    assert isinstance(ACCELERATE(begun(recipe)), Accelerated)
    assert not train_resumably(
        network, resident, recipe, 3, kept, {}, watch=watch, accelerate=ACCELERATE
    )
    names = {f"network.{name}" for name in build_network(NETWORK).state_dict()}
    tensors = kept.last({}).tensors
    assert names == {name for name in tensors if name.startswith("network.")}
    found = train_resumably(begun(recipe), resident, recipe, 3, kept, {})
    whole = train(begun(recipe), resident, recipe, 3)
    assert found.curve[-1].train_loss == pytest.approx(whole.curve[-1].train_loss, rel=1e-3)


def test_checkpoints_come_after_each_epoch_and_between_by_the_clock(tmp_path, data, monkeypatch):
    written = []
    monkeypatch.setattr(
        Checkpoints,
        "write",
        lambda _, c: written.append((len(c.progress.curve), c.progress.position)),
    )
    recipe = replace(QUICK, **SHORT)
    resident = Resident(data, CPU)
    arguments = begun(recipe), resident, recipe, 3, Checkpoints(tmp_path, pytest.fail), {}
    train_resumably(*arguments)
    assert written == [(0, 0), (1, 0), (2, 0)]
    written.clear()
    train_resumably(*arguments, every_s=0.0)
    steps = len(resident.train) // recipe.batch_size
    inside = [(epoch, done) for epoch in (0, 1) for done in range(1, steps)]
    assert sorted(written) == sorted([(0, 0), (1, 0), (2, 0), *inside])


def test_what_is_told_meanwhile(tmp_path, data):
    heard, steps = [], []
    recipe = replace(QUICK, **SHORT)
    kept = Checkpoints(tmp_path, pytest.fail)
    watch = Watch(after_epoch=lambda curve: heard.append(len(curve)))
    watch = replace(watch, after_step=lambda epoch, done: steps.append((epoch, done)))
    first = train_resumably(begun(recipe), Resident(data, CPU), recipe, 3, kept, {}, watch=watch)
    assert heard == [0, 1, 2]
    assert steps == [(epoch, done) for epoch in (0, 1) for done in range(1, 7)]
    again = train_resumably(begun(recipe), Resident(data, CPU), recipe, 3, kept, {}, watch=watch)
    assert heard[3:] == [2]
    assert (again.curve, again.seconds, again.images) == (first.curve, first.seconds, first.images)


def test_a_checkpoint_of_another_network_is_refused(tmp_path, data):
    recipe = replace(QUICK, epochs=1)
    kept = Checkpoints(tmp_path, pytest.fail)
    train_resumably(begun(recipe), Resident(data, CPU), recipe, 3, kept, {})
    other = build_network(replace(NETWORK, stem=Stem((8,))))
    with pytest.raises(OtherTraining, match="has another shape"):
        train_resumably(other, Resident(data, CPU), recipe, 3, kept, {})
    averaged = replace(recipe, polyak=0.9)
    with pytest.raises(OtherTraining, match=r"there is no average\."):
        train_resumably(begun(recipe), Resident(data, CPU), averaged, 3, kept, {})


def test_a_loss_that_is_not_finite_ends_it(tmp_path, data):
    kept = Checkpoints(tmp_path, pytest.fail)
    with pytest.raises(Diverged, match="loss nan in training"):
        train_resumably(begun(EXPLODING), Resident(data, CPU), EXPLODING, 0, kept, {})
