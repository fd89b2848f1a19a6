"""mixup: the mixtures and the loss of its paper's equation, whatever the labels and the seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.trials.training import CPU, QUICK
from trials.data import DataConfig, load
from trials.mixup import draw_shares
from trials.step import Step, loss_of
from trials.train import Resident

RECIPE = replace(QUICK, mixup=0.4)


@pytest.fixture(scope="module")
def data():
    return Resident(load(DataConfig("synthetic", limit=250, shape=(3, 8, 8), classes=4)), CPU)


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 8.0])
def test_shares_have_the_moments_of_beta(alpha):
    shares = draw_shares(alpha, 40_000, torch.Generator().manual_seed(1)).double()
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)


def test_shares_come_from_the_generator():
    generator = torch.Generator().manual_seed(2)
    state, first = generator.get_state(), draw_shares(0.2, 5, generator)
    assert not torch.equal(draw_shares(0.2, 5, generator), first)
    generator.set_state(state)
    assert torch.equal(draw_shares(0.2, 5, generator), first)
    assert draw_shares(1e-9, 100, generator).isfinite().all()


def test_the_loss_is_that_of_mixed_images_with_mixed_labels(data):
    """Eq. 1 in float64, with labels of one hot class, smoothed as PyTorch does it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    step = Step(model, data.train, replace(RECIPE, label_smoothing=0.1), (5,))
    step.begin_epoch([0.0] * step.count)
    step()
    step()
    step.losses.zero_()
    images, labels = data.train.batch(step.indices[0, 2])
    share = step.shares[0, 2].double()
    assert 0 < share < 1
    hot = 0.9 * F.one_hot(labels, 4).double() + 0.1 / 4
    before = torch.arange(-1, len(labels) - 1)
    x = share * images.double() + (1 - share) * images[before].double()
    y = share * hot + (1 - share) * hot[before]
    logits = x.flatten(1) @ model[1].weight.double().T + model[1].bias.double()
    step()
    assert step.losses.item() == pytest.approx(F.cross_entropy(logits, y).item(), rel=1e-5)


def test_the_loss_of_many_labels_is_linear_in_them_too():
    logits, labels = torch.randn(6, 5), torch.rand(6, 5).round()
    other, share = labels.roll(1, 0), 0.3
    mixed = loss_of(logits, share * labels + (1 - share) * other, None, 0.1)
    parts = [loss_of(logits, each, None, 0.1) for each in (labels, other)]
    assert mixed.item() == pytest.approx(
        (share * parts[0] + (1 - share) * parts[1]).item(), rel=1e-5
    )


def test_seeds_side_by_side_have_shares_of_their_own(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(384, 8))
    together = Step(model, data.train, RECIPE, (5, 6))
    together.begin_epoch([0.0] * together.count)
    for place, seed in enumerate((5, 6)):
        alone = Step(nn.Linear(1, 1), data.train, RECIPE, (seed,))
        alone.begin_epoch([0.0] * alone.count)
        assert torch.equal(alone.shares[0], together.shares[place])
        assert torch.equal(alone.indices[0], together.indices[place])
    images, _ = together._batch()
    plain = [data.train.batch(indices)[0] for indices in together.indices[:, 0]]
    shares = together.shares[:, 0].tolist()
    expected = [s * x + (1 - s) * x.roll(1, 0) for s, x in zip(shares, plain, strict=True)]
    np.testing.assert_allclose(images, torch.cat(expected, 1), rtol=1e-4, atol=1e-5)


def test_without_it_the_orders_and_the_images_are_as_they_were(data):
    """Nothing is drawn for it."""
    step = Step(nn.Linear(1, 1), data.train, QUICK, (5,))
    step.begin_epoch([0.0] * step.count)
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(6))
    assert torch.equal(step.indices.flatten(), order[: step.indices.numel()])
    after = torch.Generator().manual_seed(6)
    torch.randperm(len(data.train), generator=after)
    assert torch.equal(step.orders[0].get_state(), after.get_state())
    assert torch.equal(step._batch()[0], data.train.batch(step.indices[0, 0])[0])
