"""`study: {warm: shared}`: one network is trained first, and trials begin with slices of it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from nas.engine import shared_training
from nas.engine.optuna_storage import StudyTrials
from nas.engine.shared_training import shared_recipe, train_shared
from nas.engine.stage import StageRunner
from nas.network.slicing import build_slice, dense_weights, slice_weights
from nas.search import app
from nas.space import SearchSpace
from nas.space.warm_checks import check_warm_start
from nas.study.identity import differences, identity
from nas.study.records import read_records
from nas.study.shared_weights import recalibrate, slice_score
from tests.conftest import ROOT
from tests.nas.planting import MATCHED, SEARCH, URL, Planted, search
from trials.data import load
from trials.store import Store
from trials.train import Resident, evaluate

WARM = SEARCH.replace("trials: 10,", "trials: 3, warm: shared,").replace("seeds: 6", "seeds: 2")
WARM = WARM.replace("batch_size: 16", "batch_size: 40")
COLD = WARM.replace(" warm: shared,", "")
FILE = Path("runs/planted/shared.safetensors")


def recipes_of(study: str) -> set[str]:
    """Keys of the recipes of its trainings."""
    store = Store(URL, create=False)
    keys = {measurement.recipe for measurement in store.all(study)}
    store.close()
    return keys


def never_again(monkeypatch) -> None:
    def train(*_arguments):
        raise AssertionError("trained again")

    monkeypatch.setattr(shared_training, "train_shared", train)


def test_trials_are_warm_and_what_is_confirmed_is_cold(monkeypatch):
    result = search(monkeypatch, Planted(), text=WARM)
    assert result.exit_code == 0, result.stderr
    assert "training the shared network for 8 epochs, before the first trial" in result.stdout
    digest = hashlib.sha256(FILE.read_bytes()).hexdigest()
    records = read_records(URL, "planted")
    assert [trial.warm_start for trial in records.trials] == [digest] * 3
    confirmation = records.confirmation
    assert {trial.warm_start for trial in confirmation.trials} == {""}
    assert {trial.trained.warm_start for trial in records.confirmed} == {digest}

    # Neither is ever taken for the other: their recipes have other keys.
    cold = SearchSpace.from_yaml("planted.yaml").file.training.full_recipe.key
    assert recipes_of("planted:confirmation") == {cold}
    (warm,) = recipes_of("planted")
    assert warm != cold


def test_a_search_that_was_stopped_reads_the_weights_that_are_there(monkeypatch):
    assert search(monkeypatch, Planted(stop_after=1), text=WARM).exit_code == 130
    before = FILE.read_bytes()
    never_again(monkeypatch)
    assert search(monkeypatch, Planted(), text=WARM).exit_code == 0
    assert FILE.read_bytes() == before
    digest = hashlib.sha256(before).hexdigest()
    assert {trial.warm_start for trial in read_records(URL, "planted").trials} == {digest}


def test_one_that_was_ended_before_its_weights_were_known_begins_them_again(monkeypatch):
    def ended(trials, **kept):
        if "shared" in kept:
            raise KeyboardInterrupt
        return keep(trials, **kept)

    keep = StudyTrials.keep
    with monkeypatch.context() as patch:
        patch.setattr(StudyTrials, "keep", ended)
        assert search(patch, Planted(), text=WARM).exit_code == 130
    first = FILE.read_bytes()
    FILE.write_bytes(b"of no use")
    assert search(monkeypatch, Planted(), text=WARM).exit_code == 0
    assert FILE.read_bytes() == first  # on the same CPU


def test_weights_that_are_gone_or_damaged_are_named(monkeypatch):
    search(monkeypatch, Planted(stop_after=1), text=WARM)
    FILE.write_bytes(FILE.read_bytes()[:-1])
    for reason in ("have SHA-256 ", "cannot be read: No such file or directory"):
        more = Planted()
        result = search(monkeypatch, more, text=WARM)
        assert result.exit_code == 2
        place = "runs/planted/shared.safetensors: error: the weights of the shared network"
        assert f"{place} {reason}" in result.stderr
        assert "hint: put them back, or begin a study under another name" in result.stderr
        assert more.trainings == []
        FILE.unlink(missing_ok=True)


@pytest.mark.parametrize("before", [WARM, COLD])
def test_warm_and_cold_trials_are_not_mixed_in_a_study(monkeypatch, before):
    search(monkeypatch, Planted(stop_after=1), text=before)
    more = Planted()
    result = search(monkeypatch, more, text=COLD if before == WARM else WARM)
    assert result.exit_code == 2
    was, now = ("shared", "not set") if before == WARM else ("not set", "shared")
    assert f"study.warm: was {was}, is now {now}" in result.stderr
    assert more.trainings == []


def test_a_training_that_diverges_is_said_so(monkeypatch):
    text = WARM.replace("batch_size: 40", "batch_size: 40, learning_rate: 1000000")
    result = search(monkeypatch, Planted(), text=text)
    assert result.exit_code == 1
    assert "the training of the shared network diverged: loss " in result.stderr
    assert "hint: a lower training.learning_rate" in result.stderr
    assert not FILE.exists()


REFUSED = [
    (
        MATCHED + "study: {warm: shared}\n",
        "study.warm: the arms of a design are judged, and what is judged begins with weights of "
        "its own; shared is of a search",
    ),
    (
        MATCHED.replace("design: {seeds: 3}", "study: {warm: shared}").replace("confirm:", "#"),
        "study.warm: shared is of networks at the same widths, and those of an equal macs have "
        "their own",
    ),
    (
        WARM.replace("[spatial_first, pointwise_first]", "[spatial_first, mixture]"),
        "search.order[1]: a mixture's gate has a row for each segment, and is a slice of no shared",
    ),
    (
        WARM.replace("{channels: 16, stride: 2}", "{channels: 16, order: [mixture]}"),
        "network.blocks[0].order[0]: a mixture's gate has a row for each segment",
    ),
    (WARM.replace("shared", "others"), "study.warm: must be 'shared'"),
    (
        WARM.replace("confirm: {seeds: 2}", "confirm: none\nreferences: [mobilenet]"),
        "references: they are trained from scratch, and without a confirmation they are shown beside "
        "warm-started trials",
    ),
    (
        WARM.replace("{channels: 16, stride: 2}", "{channels: [4096, 8192], stride: 2}"),
        "study.warm: the shared network would have at least 789M parameters, and 500M are allowed",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_it_does_not_go_with_is_refused(monkeypatch, text, message):
    more = Planted()
    result = search(monkeypatch, more, text=text)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "hint: " in result.stderr or "must be" in message
    assert more.trainings == []
    assert not Path("runs").exists()


def test_it_is_of_images_alone(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(WARM)
    space = SearchSpace.from_yaml(path)
    check_warm_start(space.document, space.file, (3, 4, 8, 8))
    (problem,) = space.document.problems
    assert str(problem).startswith(f"{path}:")
    assert "study.warm: shared is of networks of images, and these are clips" in str(problem)


BEFORE = {
    "study.fidelity": None,
    "study.sampler": "random",
    "study.seed": 0,
    "study.seeds_per_trial": 1,
    "training.batch_size": 40,
    "training.class_weights": None,
    "training.crop": 0,
    "training.decay": 1.0,
    "training.decay_epochs": 1.0,
    "training.decay_images": 0,
    "training.dropout": 0.0,
    "training.epochs": 2,
    "training.flip": False,
    "training.label_smoothing": 0.1,
    "training.learning_rate": 0.1,
    "training.momentum": 0.9,
    "training.name": "proxy",
    "training.nesterov": True,
    "training.optimizer": "sgd",
    "training.polyak": 0.0,
    "training.precision": None,
    "training.schedule": "one_cycle",
    "training.warmup": 0.2,
    "training.weight_decay": 0.0005,
}
"""What the version before shared networks kept of this study and of its training."""


def test_without_it_studies_are_what_they_were(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(COLD)
    cold = SearchSpace.from_yaml(path).file
    kept = {n: v for n, v in identity(cold).items() if n.startswith(("study.", "training."))}
    assert differences(BEFORE, kept) == []
    assert cold.training.full_recipe.key == "e1abc94448f51a35"


def test_the_same_seed_gives_the_same_weights_and_every_point_is_drawn():
    space = SearchSpace.from_yaml(ROOT / "search_spaces/smoke.yaml")
    images, recipe = load(space.file.data_config), shared_recipe(space)
    assert recipe.epochs == shared_training.EPOCHS * space.file.training.full_recipe.epochs
    short = replace(recipe, epochs=1)
    networks = [train_shared(space, images, short).network for _ in range(2)]
    for name, weight in networks[0].dense.items():
        assert torch.equal(weight, networks[1].dense[name]), name
    draw = networks[0].draw
    points = [draw().blocks for _ in range(1000)]
    for index, count in ((0, 8), (1, 8)):  # both take 8 channels in, or give 8 and 12
        drawn = {blocks[index].point for blocks in points}
        assert {str(p.segments) for p in drawn} >= {*map(str, range(1, count)), "C"}
        assert {(p.order, p.activation) for p in drawn} == {
            *(
                (order, a)
                for order in ("spatial_first", "pointwise_first")
                for a in ("none", "relu")
            ),
            ("plain", "none"),
        }


WIDE = """
name: planted
data: {source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}
network:
  stem: {channels: 6}
  blocks:
    - {channels: [6, 9], stride: 2}
    - {channels: 10, repeat: 2, stride: 2, downsample: convolution, order: [plain, spatial_first]}
search:
  segments: [1, 2, C/4, C]
  activation: [none, relu, gelu]
  order: [pointwise_first, spatial_first]
  residual: [true, false]
  kernel: [5, 3]
  multiplier: [1, 2, 3]
  pointwise_groups: [1, 2]
"""


@pytest.mark.parametrize("scope", ["block", "network"])
def test_the_widest_networks_of_a_space_have_the_weights_of_all_others(tmp_path, scope):
    path = tmp_path / "space.yaml"
    own = ", order: [plain, spatial_first]"
    path.write_text(WIDE if scope == "block" else WIDE.replace(own, ""))
    space = SearchSpace.from_yaml(path, [f"search.scope={scope}"])
    dense = dense_weights(space.widest)
    sampled = [space.sample(seed) for seed in range(12)]
    for architecture in sampled:
        slices = build_slice(dense, architecture)
        assert slices(torch.zeros(2, 3, 8, 8)).shape == (2, 4)
    taken = {order for a in sampled for order in (block.point.order for block in a.blocks)}
    assert taken == set(space.orders) | ({"plain"} if scope == "block" else set())


def test_a_slice_is_evaluated_with_the_statistics_of_its_own_network():
    """Those of the training images, mean over their batches."""
    space = SearchSpace.from_yaml(ROOT / "search_spaces/smoke.yaml")
    data = Resident(load(space.file.data_config), torch.device("cpu"))
    recipe, architecture = space.file.training.full_recipe, space.sample(3)
    dense = dense_weights(space.widest)
    network = build_slice(dense, architecture)
    seen = []
    network.stem.norm0.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
        for rows in order.split(recipe.batch_size):
            network.train()(data.train.batch(rows)[0])
    of_batches = torch.stack([x.mean((0, 2, 3)) for x in seen])
    with torch.no_grad():
        recalibrate(network, data.train, recipe)
    torch.testing.assert_close(network.stem.norm0.running_mean, of_batches.mean(0))
    found = evaluate(network, data.validation, recipe.precision).score
    assert slice_score(dense, architecture, data, recipe) == found


def test_statistics_are_recomputed_in_the_precision_of_the_recipe(monkeypatch):
    monkeypatch.setattr("trials.precision._has_bfloat16", lambda _: True)
    space = SearchSpace.from_yaml(ROOT / "search_spaces/smoke.yaml")
    data = Resident(load(space.file.data_config), torch.device("cpu"))
    network = build_slice(dense_weights(space.widest), space.sample(3))
    seen = set()
    network.stem.norm0.register_forward_pre_hook(lambda _, given: seen.add(given[0].dtype))
    recipe = replace(space.file.training.full_recipe, precision="bfloat16")
    recalibrate(network, data.train, recipe)
    assert seen == {torch.bfloat16}


def test_it_is_trained_by_any_recipe(monkeypatch):
    """In bfloat16, with averaged weights, dropout and clipped gradients."""
    monkeypatch.setattr("trials.precision._has_bfloat16", lambda _: True)  # or PyTorch emulates it
    space = SearchSpace.from_yaml(ROOT / "search_spaces/smoke.yaml")
    more = {"precision": "bfloat16", "polyak": 0.9, "dropout": 0.5, "clip": 1.0, "epochs": 1}
    recipe = replace(shared_recipe(space), **more)
    training = train_shared(space, load(space.file.data_config), recipe)
    assert all(weight.isfinite().all() for weight in training.network.dense.values())
    assert training.network._skeleton().dropout.p == 0.5


def in_this_process(runner, driver, data) -> None:
    """What a worker of Ray does with the job that it would be sent."""
    from nas.engine.ray_worker import TrialActor

    worker = TrialActor.__new__(TrialActor)
    worker.job = runner._job(driver, data, keep_weights=True, judges=False)
    worker.data = Resident(data, torch.device("cpu"))
    while (spec := driver.next()) is not None:
        driver.record(spec.trial, worker._measure(spec))


def test_workers_begin_with_the_slice_that_is_their_network(monkeypatch):
    """With a rate of next to nothing, the weights that they keep are those that they began with."""
    monkeypatch.setattr("nas.api.run_search._write_results", lambda *_: None)
    monkeypatch.setattr(StageRunner, "run", in_this_process)
    text = WARM.replace("confirm: {seeds: 2}", "confirm: none")
    Path("planted.yaml").write_text(text.replace("epochs: 2", "epochs: 2, learning_rate: 1.0e-9"))
    result = CliRunner().invoke(app, ["--space", "planted.yaml"])
    assert result.exit_code == 0, result.stderr
    shared, trials = load_file(FILE), read_records(URL, "planted").complete
    assert len(trials) == 3
    for trial in trials:
        kept = load_file(f"runs/planted/weights/{trial.number}.safetensors")
        names = [name for name in kept if "running" not in name and "batches" not in name]
        for name, weight in slice_weights(shared, trial.architecture, names).items():
            torch.testing.assert_close(kept[name], weight, rtol=0, atol=1e-6)
