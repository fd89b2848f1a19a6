"""What the training of a shared network takes: its memory, its precision, the smallest images."""

from __future__ import annotations

import weakref
from pathlib import Path

import pytest
import torch

from nas.engine import shared_training
from nas.network.shared_network import SharedNetwork
from nas.space import SearchSpace
from tests.nas.engine.test_shared_training import FILE, WARM
from tests.nas.planting import Planted, search
from trials.precision import Unsupported
from trials.train import Resident

LAST = "    - {channels: 24, stride: 2}\n"


def test_one_image_on_a_map_of_one_pixel_is_evaluated():
    """Its batch norms have statistics of one number; its logits are those of two such images."""
    Path("small.yaml").write_text(WARM.replace(LAST, 2 * LAST))
    space = SearchSpace.from_yaml("small.yaml")
    network = SharedNetwork(space.widest, lambda: space.sample(1)).eval()
    one = torch.randn(1, 3, 8, 8)
    assert torch.equal(network(one), network(one.repeat(2, 1, 1, 1))[:1])


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_a_training_that_runs_out_of_memory_is_said_so(monkeypatch, error):
    def out_of_memory(*_arguments):
        raise error

    monkeypatch.setattr(shared_training, "train", out_of_memory)
    result = search(monkeypatch, Planted(), text=WARM)
    assert result.exit_code == 1
    assert "the training of the shared network ran out of memory" in result.stderr
    assert "hint: a smaller training.batch_size, or leave study.warm out" in result.stderr
    assert "Traceback" not in result.stderr
    assert not FILE.exists()


def test_a_precision_that_the_drivers_machine_has_not_is_said_so(monkeypatch):
    """That of the trials, which are elsewhere, may have it."""

    def unsupported(*_arguments):
        raise Unsupported("the cpu of this machine has no bfloat16")

    monkeypatch.setattr(shared_training, "train", unsupported)
    result = search(monkeypatch, Planted(), text=WARM)
    assert result.exit_code == 1
    assert "the shared network is trained here: the cpu of this machine has no" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_is_wrong_in_bfloat16_is_refused_before_a_study_is_begun(monkeypatch):
    """The shared network has no modules to look at: those of its points are looked at."""
    monkeypatch.setattr("trials.precision._has_bfloat16", lambda _: True)
    text = WARM.replace("epochs: 2", "epochs: 2, precision: bfloat16")
    text = text.replace(LAST, LAST.replace("stride: 2", "stride: 4, downsample: convolution"))
    more = Planted()
    result = search(monkeypatch, more, text=text)
    assert result.exit_code == 2
    assert "training.precision: the stride of Conv2d(" in result.stderr
    assert "leaves one column, wrong in bfloat16 on a CPU" in result.stderr
    assert "hint: leave it out, or say float32" in result.stderr
    assert more.trainings == []
    assert not Path("runs/planted/study.db").exists()


def test_the_memory_of_the_shared_training_is_given_back_and_threads_are_as_they_were(monkeypatch):
    """On a GPU the trials need it, and the driver lives as long as they do."""
    made, left = [], []

    def resident(*arguments):
        made.append(weakref.ref(found := Resident(*arguments)))
        return found

    class Noted(SharedNetwork):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(weakref.ref(self))

    monkeypatch.setattr(shared_training, "Resident", resident)
    monkeypatch.setattr(shared_training, "SharedNetwork", Noted)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: left.extend(ref() for ref in made))
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert search(monkeypatch, Planted(), text=WARM).exit_code == 0
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert left == [None, None]
