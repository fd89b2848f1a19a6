"""The step that can be recorded: what it computes is what a plain loop computes, bit for bit."""

from __future__ import annotations

import copy
import functools
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from tests.trials.training import CPU, QUICK, needs_gpu, network
from trials.average import Average
from trials.fused_sgd import FusedSGD
from trials.graph import WARM_UP, Replayed, _stream
from trials.recipe import recipe
from trials.share import WHOLE
from trials.step import Step
from trials.train import Resident, train

CUDA = torch.device("cuda")
RECIPES = {
    "sgd": replace(QUICK, crop=1, flip=True),
    "nesterov": replace(QUICK, nesterov=True, weight_decay=5e-4, label_smoothing=0.1),
    "rmsprop": replace(QUICK, optimizer="rmsprop", learning_rate=0.002, weight_decay=1e-5),
    "bfloat16": replace(QUICK, precision="bfloat16", weight_decay=5e-4),
    "without momentum": replace(QUICK, momentum=0.0, epochs=1),
}


def plain_training(net: nn.Module, resident: Resident, r, seed: int) -> nn.Module:
    """As tutorials write it: rates are numbers, batches are slices, gradients are reset."""
    net = net.to(memory_format=torch.channels_last)
    decayed = [p for p in net.parameters() if p.ndim >= 2]
    groups = [
        {"params": decayed, "weight_decay": r.weight_decay},
        {"params": [p for p in net.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    if r.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            groups, lr=1.0, momentum=r.momentum, nesterov=r.nesterov, fused=True
        )
    else:
        optimizer = torch.optim.RMSprop(groups, lr=1.0, alpha=0.9, momentum=r.momentum)
    order = torch.Generator().manual_seed(seed + 1)
    augmentation = torch.Generator().manual_seed(seed + 2)
    images, step = len(resident.train), 0
    total = r.epochs * (images // r.batch_size)
    net.train()
    for _ in range(r.epochs):
        indices = torch.randperm(images, generator=order)
        for start in range(0, images - r.batch_size + 1, r.batch_size):
            chosen = indices[start : start + r.batch_size]
            x, labels = resident.train.batch(chosen, r.crop, r.flip, augmentation)
            for group in optimizer.param_groups:
                group["lr"] = r.learning_rate_at(step, total, images)
            with torch.autocast("cpu", torch.bfloat16, enabled=r.precision == "bfloat16"):
                logits = net(x)
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=r.label_smoothing)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            step += 1
    return net


def assert_equal(found: nn.Module, expected: nn.Module) -> None:
    pairs = zip(found.state_dict().items(), expected.state_dict().values(), strict=True)
    for (name, value), other in pairs:
        assert torch.equal(value, other), name


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_is_the_plain_loop_bit_for_bit(resident, name, monkeypatch):
    monkeypatch.setattr("trials.precision._has_bfloat16", lambda _: True)  # or PyTorch emulates it
    trained = train(network(), resident, RECIPES[name], 5).network
    assert_equal(trained, plain_training(network(), resident, RECIPES[name], 5))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_weight_may_have_its_first_gradient_later_than_others(momentum):
    """As those of a shared network have, of which each step takes a part."""
    torch.manual_seed(0)
    gradients = torch.randn(4, 2, 3)
    gradients[0, 1] = gradients[2, 0] = torch.nan  # there is none
    found, expected = (nn.ParameterList([torch.ones(3), torch.ones(3)]) for _ in range(2))
    ours = FusedSGD(
        [{"params": list(found), "weight_decay": 0.1}], torch.tensor(0.3), momentum, momentum > 0
    )
    theirs = torch.optim.SGD(
        expected, lr=0.3, momentum=momentum, nesterov=momentum > 0, weight_decay=0.1, foreach=False
    )
    for step in gradients:
        for weights, optimizer in ((found, ours), (expected, theirs)):
            for weight, gradient in zip(weights, step, strict=True):
                weight.grad = None if gradient.isnan().any() else gradient.clone()
            optimizer.step()
    torch.testing.assert_close(list(found), list(expected))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_read_and_written_stays_where_it_is(resident, precision):
    """Nothing that a recording keeps the address of may move from step to step."""
    r = replace(QUICK, crop=1, flip=True, polyak=0.99, precision=precision)
    step = Step(network(), resident.train, r, (1,))

    def addresses() -> dict[str | int, int]:
        tensors = {
            **step.network.state_dict(prefix="network."),
            **step.evaluated.state_dict(prefix="average."),
            **{
                name: value for name, value in vars(step).items() if isinstance(value, torch.Tensor)
            },
        }
        kept = [*step.optimizer.velocities.values()]
        if step.copies:
            kept += [*step.copies.copies.values(), *step.copies.gradients.values()]
        tensors |= dict(enumerate(kept))
        return {name: tensor.data_ptr() for name, tensor in tensors.items()}

    step.begin_epoch([0.1] * step.count)
    step()
    before = addresses()
    step()
    step.begin_epoch([0.05] * step.count)
    step()
    assert addresses() == before
    assert step.position.item() == 1
    assert step.rate.item() == pytest.approx(0.05)


def test_the_average_is_pytorchs():
    net = network()

    def average(mean, value, updates):
        if not mean.is_floating_point():
            return value
        decay = torch.clamp((1 + updates.float()) / (10 + updates.float()), max=0.9)
        return torch.lerp(value, mean, decay)

    ours, theirs = Average(net, 0.9), AveragedModel(net, avg_fn=average, use_buffers=True)
    for _ in range(100):
        with torch.no_grad():
            for tensor in net.state_dict().values():
                tensor += 1 if not tensor.is_floating_point() else torch.randn_like(tensor)
        ours.update()
        theirs.update_parameters(net)
        assert_equal(ours.network, theirs.module)


def test_how_steps_are_started_is_no_part_of_what_is_measured():
    assert recipe("proxy", graph="off").key == recipe("proxy").key


def test_on_a_cpu_nothing_is_recorded(resident):
    step = Step(network(), resident.train, QUICK, (1,))
    run = Replayed(step)
    step.begin_epoch([0.1] * step.count)
    for _ in range(WARM_UP + 2):
        run()
    assert run.graph is None
    assert step.position.item() == WARM_UP + 2


class BrokenOff:
    """A recording that a step breaks off, as PyTorch 2.13 has it: what comes after is not done.

    Attributes:
        streams: of which the last one is the current one.
        waits: of one for another.
    """

    def __init__(self, monkeypatch, step: Step) -> None:
        self.step, self.streams, self.waits = step, [FakeStream("usual", self)], []
        self.made = []
        monkeypatch.setattr("torch.cuda.CUDAGraph", lambda: self)
        monkeypatch.setattr("torch.cuda.Stream", self._new_stream)
        monkeypatch.setattr("torch.cuda.current_stream", lambda _=None: self.streams[-1])
        monkeypatch.setattr("torch.cuda.stream", self._on)
        monkeypatch.setattr("torch.cuda.graph", self._recorded)
        monkeypatch.setattr("trials.graph._stream", functools.cache(_stream.__wrapped__))

    def register_generator_state(self, generator: torch.Generator) -> None:
        torch.rand(3, generator=generator)  # what a recording may leave behind

    def _new_stream(self, _device: object) -> FakeStream:
        self.made.append(FakeStream(f"other {len(self.made)}", self))
        return self.made[-1]

    @contextmanager
    def _on(self, stream: FakeStream):
        before = len(self.streams)
        self.streams.append(stream)
        try:
            yield
        finally:
            del self.streams[before:]

    @contextmanager
    def _recorded(self, _graph: object, stream: FakeStream | None = None):
        update, untouched = self.step._update, copy.deepcopy(self.step.network.state_dict())

        def refused() -> None:
            raise RuntimeError("operation not permitted when stream is capturing\nand more")

        self.step._update = refused  # the gradients have been computed
        self.streams.append(stream)
        try:
            yield
        finally:
            self.step._update = update
            self.step.network.load_state_dict(untouched)  # nothing is computed in a recording
            raise RuntimeError("operation failed due to a previous error during capture")


@dataclass(frozen=True)
class FakeStream:
    name: str
    of: BrokenOff = field(repr=False, compare=False)

    def wait_stream(self, other: FakeStream) -> None:
        self.of.waits.append((self.name, other.name))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_that_cannot_be_recorded_is_done_all_the_same(resident, monkeypatch, precision):
    """With one line, with the images and the augmentation that it would have had, and no more.

    All that is done on another stream is done on one, and the usual one goes on.
    """
    monkeypatch.setattr("trials.precision._has_bfloat16", lambda _: True)
    r = replace(QUICK, crop=2, flip=True, precision=precision)
    expected = train(network(), resident, r, 1).network
    step = Step(network().to(memory_format=torch.channels_last), resident.train, r, (1,))
    recording = BrokenOff(monkeypatch, step)
    run = Replayed(step)
    run.may_record = True
    total = r.epochs * step.count
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for epoch in range(r.epochs):
            numbers = range(epoch * step.count, (epoch + 1) * step.count)
            step.begin_epoch([r.learning_rate_at(n, total, len(resident.train)) for n in numbers])
            for _ in numbers:
                run()
    (warning,) = [str(each.message) for each in caught]
    assert warning == (
        "steps are not recorded as a CUDA graph: operation not permitted when stream is capturing"
    )
    assert_equal(step.network, expected)
    assert recording.streams == [FakeStream("usual", recording)]
    there_and_back = [("other 0", "usual"), ("usual", "other 0")]
    assert recording.waits == [*WARM_UP * there_and_back, ("other 0", "usual")]


@pytest.mark.parametrize(("device", "expected"), [("cuda", [None]), ("cpu", [])])
@pytest.mark.parametrize("end", [None, ArithmeticError("not finite")])
def test_what_a_gpu_kept_for_a_training_is_given_back(monkeypatch, device, expected, end):
    """However it ends, and the recording before it."""
    given_back = []
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: given_back.append(run.graph))
    somewhere = SimpleNamespace(device=torch.device(device))
    step = SimpleNamespace(recipe=QUICK, position=somewhere, rate=somewhere, share=WHOLE)
    with suppress(ArithmeticError), Replayed(step) as run:
        run.graph = object()
        if end is not None:
            raise end
    assert given_back == expected


@needs_gpu
@pytest.mark.parametrize("name", [*RECIPES, "polyak", "float32"])
def test_replayed_steps_give_the_weights_of_started_ones(data, name):
    more = {"polyak": replace(QUICK, polyak=0.99), "float32": replace(QUICK, precision="float32")}
    r = replace((RECIPES | more)[name], epochs=4)
    resident = Resident(data, CUDA)
    replayed = train(network(), resident, r, 0)
    started = train(network(), resident, replace(r, graph="off"), 0)
    for a, b in zip(replayed.curve, started.curve, strict=True):
        assert a.train_loss == pytest.approx(b.train_loss, abs=0.02)
    for a, b in zip(replayed.network.parameters(), started.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=0.02, rtol=0.05)


@needs_gpu
def test_a_gpu_records_the_step_and_replays_it(data):
    step = Step(network().to(CUDA), Resident(data, CUDA).train, RECIPES["sgd"], (1,))
    run = Replayed(step)
    step.begin_epoch([0.1] * step.count)
    weights = []
    for _ in range(WARM_UP + 2):
        run()
        weights.append(copy.deepcopy(step.network[0].weight.detach()))
    assert run.graph is not None
    assert step.position.item() == WARM_UP + 2
    assert all(not torch.equal(a, b) for a, b in pairwise(weights))


@needs_gpu
def test_a_module_that_asks_the_gpu_for_a_value_is_trained_all_the_same(data):
    class Asking(nn.Module):
        def forward(self, x):
            return x + 0 * x.detach().sum().item()

    net = nn.Sequential(*network(), Asking())
    with pytest.warns(UserWarning, match="steps are not recorded as a CUDA graph"):
        asked = train(net, Resident(data, CUDA), RECIPES["sgd"], 0)
    plain = train(network(), Resident(data, CPU), RECIPES["sgd"], 0)
    assert asked.curve[-1].train_loss == pytest.approx(plain.curve[-1].train_loss, abs=0.15)
