"""The driver without Ray: what it hands out, records and recovers, on real databases."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from sqlalchemy.engine import make_url

from nas.architecture import ArchitectureError
from nas.pareto import pareto_front
from nas.space import SearchSpace
from nas.space.load import read_document, space_of
from nas.study import Driver, NoStudy, SpaceChanged, read_records, trial_seed
from nas.study.driver import FAILURES, LOSSES
from nas.study.proposer import HISTORY, OptunaProposer
from trials.data import load
from trials.measurement import Measurement
from trials.store import Store

SPACE = """
name: tiny
data: {source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}
network:
  stem: {channels: 8}
  blocks:
    - {channels: 8}
    - {channels: 12, stride: 2}
search:
  segments: 1..C
  activation: [none, relu]
  order: [spatial_first, pointwise_first, plain]
training: {epochs: 1, batch_size: 16}
study: {trials: 6}
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return make_url(f"sqlite:///{tmp_path / 'study.db'}")
    return make_url(request.getfixturevalue("postgresql"))


@pytest.fixture
def sqlite(tmp_path):
    return make_url(f"sqlite:///{tmp_path / 'study.db'}")


def read_space(text: str) -> SearchSpace:
    Path("space.yaml").write_text(text)
    return space_of(read_document("space.yaml"))


def open_driver(url, *overrides: str, text: str = SPACE, name: str | None = None) -> Driver:
    Path("space.yaml").write_text(text)
    document = read_document("space.yaml", overrides)
    space = space_of(document)
    data = load(space.file.data.config).summary
    return Driver(url, name or space.file.name, space, document.value, data, Path("outbox"))


def measured(driver: Driver, assignment, **changes) -> tuple[Measurement, ...]:
    """What a worker would report, with an accuracy that depends on the architecture alone."""
    accuracy = int(assignment.architecture.key[:4], 16) / 2**16
    return tuple(
        replace(
            Measurement(
                architecture_key=assignment.architecture.key,
                architecture=assignment.architecture.to_json(),
                data=driver.data.fingerprint,
                recipe=driver.recipe.key,
                epochs=driver.recipe.epochs,
                seed=seed,
                macs=assignment.cost.macs,
                params=assignment.cost.params,
                accuracy=accuracy,
                validation_loss=1.0,
                curve=((1.0, 1.0, accuracy),),
                seconds=1.0,
            ),
            **changes,
        )
        for seed in assignment.seeds
    )


FAILED = {"state": "failed", "reason": "not finite: loss nan", "accuracy": None, "curve": ()}


def finish(driver: Driver) -> list[str]:
    """Run all that is left; returns the keys in order."""
    keys = []
    while (assignment := driver.next()) is not None:
        keys.append(assignment.architecture.key)
        driver.prepare()
        driver.record(assignment.trial, measured(driver, assignment))
    return keys


def states(url, name="tiny") -> Counter[str]:
    study = optuna.load_study(study_name=name, storage=url.render_as_string(hide_password=False))
    return Counter(trial.state.name for trial in study.trials)


def test_a_search_ends_with_the_wanted_number_of_different_architectures(url):
    driver = open_driver(url)
    keys = finish(driver)
    assert len(keys) == len(set(keys)) == 6
    assert driver.over
    assert states(url) == {"COMPLETE": 6}
    driver.close()
    records = read_records(url, "tiny")
    assert [r.architecture.key for r in records.complete] == keys
    assert records.objectives == ("accuracy", "macs")
    assert all(r.values == (r.accuracy, r.macs) for r in records.complete)


def test_the_measurement_is_written_before_the_trials_state(url):
    driver = open_driver(url)
    assignment = driver.next()
    result = measured(driver, assignment)
    driver.storage.set_trial_state_values = None  # dies here
    with pytest.raises(TypeError):
        driver.record(assignment.trial, result)
    assert Store(url).all() == result
    assert states(url) == {"RUNNING": 1}


def test_a_result_in_the_outbox_is_adopted_and_a_trial_without_one_runs_again(url):
    driver = open_driver(url)
    finished, running = driver.next(), driver.next()
    driver.outbox.put(finished.trial, measured(driver, finished))
    driver.close()  # killed: nothing was recorded

    driver = open_driver(url)
    assert states(url) == {"COMPLETE": 1, "RUNNING": 1}
    assert not list(Path("outbox").rglob("*.json"))
    again = driver.next()
    assert (again.trial, again.architecture, again.seeds) == (
        running.trial,
        running.architecture,
        running.seeds,
    )
    driver.record(again.trial, measured(driver, again))
    keys = finish(driver)
    assert len({*keys, finished.architecture.key, running.architecture.key}) == 6
    assert states(url) == {"COMPLETE": 6}
    driver.close()


def test_a_result_of_a_deleted_study_is_not_adopted(url):
    driver = open_driver(url)
    assignment = driver.next()
    other = measured(driver, assignment, architecture_key="0" * 16)
    driver.outbox.put(assignment.trial, other)
    driver.close()
    driver = open_driver(url)
    assert states(url) == {"RUNNING": 1}
    assert not list(Path("outbox").rglob("*.json"))
    assert driver.next().trial == assignment.trial
    driver.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture_key": "0" * 16},
        {"data": "0" * 16},
        {"recipe": "0" * 16},
        {"epochs": 7},
        {"seed": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
@pytest.mark.parametrize("moment", ["start", "lost", "release"])
def test_only_the_result_of_this_very_training_is_adopted(sqlite, moment, changes):
    """A folder may hold the outbox of another study, or of a deleted one."""
    driver = open_driver(sqlite)
    assignment = driver.next()
    driver.outbox.put(assignment.trial, measured(driver, assignment, **changes))
    if moment == "start":
        driver.close()
        driver = open_driver(sqlite)
    elif moment == "lost":
        driver.lost(assignment.trial, "out of luck")
    else:
        driver.release()
    assert states(sqlite)["COMPLETE"] == 0
    assert Store(sqlite).all() == ()
    driver.close()


def test_a_result_that_lacks_a_seed_is_not_adopted(sqlite):
    driver = open_driver(sqlite, "study.seeds_per_trial=2")
    assignment = driver.next()
    driver.outbox.put(assignment.trial, measured(driver, assignment)[:1])
    driver.lost(assignment.trial, "out of luck")
    assert states(sqlite) == {"RUNNING": 1}
    driver.close()


def test_results_that_no_trial_waits_for_are_removed_at_the_start(sqlite):
    driver = open_driver(sqlite)
    assignment = driver.next()
    driver.outbox.put(7, measured(driver, assignment))
    driver.close()
    open_driver(sqlite).close()
    assert not list(Path("outbox").rglob("*.json"))


def test_each_studys_results_are_in_a_folder_of_their_own(tmp_path):
    """The same folder with another database: nothing of the first study is lost."""
    first = open_driver(make_url(f"sqlite:///{tmp_path / 'first.db'}"))
    assignment = first.next()
    first.outbox.put(assignment.trial, measured(first, assignment))
    first.close()
    open_driver(make_url(f"sqlite:///{tmp_path / 'second.db'}")).close()
    open_driver(make_url(f"sqlite:///{tmp_path / 'first.db'}")).close()
    assert states(make_url(f"sqlite:///{tmp_path / 'first.db'}")) == {"COMPLETE": 1}


def test_an_interruption_at_any_step_leaves_no_trial_running(sqlite):
    """Ctrl-C pressed twice comes wherever the driver is: here, in every write of a trial's state."""
    for step in range(12):
        driver = open_driver(sqlite, "study.trials=100", name=f"step{step}")
        write, calls = driver.storage.set_trial_state_values, itertools.count()

        def interrupted(*arguments, write=write, calls=calls, step=step):
            number = next(calls)
            if number == step and step % 2:
                raise KeyboardInterrupt  # before the write
            done = write(*arguments)
            if number == step:
                raise KeyboardInterrupt  # after it
            return done

        driver.storage.set_trial_state_values = interrupted
        with pytest.raises(KeyboardInterrupt):
            finish(driver)
        driver.release()
        driver.close()
        assert states(sqlite, f"step{step}")["RUNNING"] == 0


def test_moved_data_is_found_where_it_is_now(sqlite):
    data = load(read_space(SPACE).file.data.config)
    for place in ("here", "there"):
        np.savez(f"{place}.npz", images=data.train.images, labels=data.train.labels)
        text = SPACE.replace(
            "{source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}",
            f"{{source: 'npz:{place}.npz'}}",
        )
        open_driver(sqlite, text=text).close()
    assert read_records(sqlite, "tiny").document["data"]["source"] == "npz:there.npz"


def test_releasing_leaves_no_trial_running_and_the_next_driver_takes_them_up(url):
    driver = open_driver(url)
    running = [driver.next(), driver.next(), driver.next()]
    driver.outbox.put(running[1].trial, measured(driver, running[1]))
    driver.release()
    driver.close()
    assert states(url) == {"WAITING": 2, "COMPLETE": 1}
    driver = open_driver(url)
    assert {driver.next().trial, driver.next().trial} == {running[0].trial, running[2].trial}
    assert states(url) == {"RUNNING": 2, "COMPLETE": 1}
    driver.close()


def test_a_driver_killed_before_the_study_was_set_up_leaves_nothing_in_the_way(url):
    optuna.create_study(
        study_name="tiny",
        storage=url.render_as_string(hide_password=False),
        directions=["maximize", "minimize"],
    )
    driver = open_driver(url)
    assert len(finish(driver)) == 6
    driver.close()


def test_another_programs_study_is_refused(sqlite):
    study = optuna.create_study(study_name="tiny", storage=str(sqlite), directions=["maximize"] * 2)
    study.add_trial(optuna.trial.create_trial(values=[1.0, 2.0]))
    with pytest.raises(SpaceChanged, match="study tiny was made by another program"):
        open_driver(sqlite)


def test_a_changed_space_is_refused_with_what_changed(url):
    open_driver(url).close()
    with pytest.raises(SpaceChanged) as caught:
        open_driver(
            url, "training.epochs=3", "search.activation=[none, elu]", "network.blocks[0].stride=2"
        )
    assert str(caught.value).splitlines() == [
        "network.blocks[0].stride: was 1, is now 2",
        "search.activation: was [none, relu], is now [none, elu]",
        "training.epochs: was 1, is now 3",
    ]


def test_changed_images_are_refused(sqlite):
    open_driver(sqlite).close()
    with pytest.raises(SpaceChanged, match=r"images: their fingerprint was \w+, is now \w+"):
        open_driver(sqlite, "data.limit=104")


def test_more_trials_and_other_resources_are_no_change(sqlite):
    driver = open_driver(sqlite)
    finish(driver)
    driver.close()
    driver = open_driver(sqlite, "study.trials=9", "resources.cpus_per_trial=2")
    assert len(finish(driver)) == 3
    driver.close()
    driver = open_driver(sqlite, "study.trials=2")
    assert driver.over
    assert driver.next() is None
    driver.close()


def test_a_resumed_study_does_not_repeat_its_first_suggestions(sqlite):
    """All of them are start-up suggestions: TPE draws its first ten at random."""
    driver = open_driver(sqlite, "study.trials=1000")
    first = [driver.next().architecture.key for _ in range(4)]
    driver.release()
    driver.close()
    driver = open_driver(sqlite, "study.trials=1000")
    proposed = []
    while len(proposed) < 4:
        proposal = driver.proposer.propose()
        proposed.append(proposal.architecture.key)
        driver.proposer.tell(proposal.ticket, None)
    assert proposed != first
    driver.close()


def test_failed_trials_do_not_count_and_are_not_proposed_again(url):
    driver = open_driver(url)
    broken = driver.next()
    driver.record(broken.trial, measured(driver, broken, **FAILED))
    keys = finish(driver)
    assert broken.architecture.key not in keys
    assert states(url) == {"COMPLETE": 6, "FAIL": 1}
    driver.close()
    failed = [t for t in read_records(url, "tiny").trials if t.state == "failed"]
    assert [t.reason for t in failed] == ["not finite: loss nan"]


def test_a_search_in_which_everything_fails_ends(sqlite):
    driver = open_driver(sqlite)
    for _ in range(FAILURES):
        assignment = driver.next()
        driver.record(assignment.trial, measured(driver, assignment, **FAILED))
    assert driver.next() is None
    assert driver.hopeless
    driver.close()


def test_a_lost_worker_costs_a_trial_nothing_until_it_has_killed_several(sqlite):
    driver = open_driver(sqlite)
    assignment = driver.next()
    for _ in range(LOSSES - 1):
        driver.lost(assignment.trial, "out of luck")
        assert states(sqlite) == {"RUNNING": 1}
        assert driver.next().trial == assignment.trial
    driver.lost(assignment.trial, "out of luck")
    assert states(sqlite) == {"FAIL": 1}
    driver.close()
    (failed,) = read_records(sqlite, "tiny").trials
    assert failed.reason == "its worker died 3 times: out of luck"


def test_a_trial_that_is_lost_when_nothing_is_left_to_propose_runs_again(sqlite):
    driver = open_driver(sqlite, text=SMALL)
    running = [driver.next() for _ in range(4)]  # the whole space
    driver.prepare()
    assert driver.exhausted
    assert not driver.over
    driver.lost(running[3].trial, "out of luck")
    assert driver.next().trial == running[3].trial
    assert driver.next() is None
    for assignment in running:
        driver.record(assignment.trial, measured(driver, assignment))
    assert driver.over
    assert states(sqlite) == {"COMPLETE": 4}
    driver.close()


def test_a_worker_that_dies_after_writing_its_result_loses_nothing(sqlite):
    driver = open_driver(sqlite)
    assignment = driver.next()
    driver.outbox.put(assignment.trial, measured(driver, assignment))
    driver.lost(assignment.trial, "out of luck")
    assert states(sqlite) == {"COMPLETE": 1}
    driver.close()


def test_what_was_measured_before_is_not_trained_again(url):
    """A second study in the same database, over the same space and seed."""
    driver = open_driver(url)
    keys = finish(driver)
    driver.close()
    driver = open_driver(url, name="second")
    trained = finish(driver)
    driver.close()
    records = read_records(url, "second")
    assert len(records.complete) == 6
    assert not set(trained) & set(keys)
    assert {r.architecture.key for r in records.complete} - set(trained) <= set(keys)


def test_a_failure_is_only_repeated_where_it_would_happen_again(sqlite):
    """Not a number is the same again; memory or a disk may be free the next time."""
    for name, reason in (("full", "OSError: no space left on device"), ("nan", FAILED["reason"])):
        driver = open_driver(sqlite, "study.sampler=grid", f"study.seed={len(name)}", name=name)
        first = driver.next()
        driver.record(first.trial, measured(driver, first, **FAILED | {"reason": reason}))
        driver.close()
        driver = open_driver(
            sqlite, "study.sampler=grid", f"study.seed={len(name)}", name=f"{name} again"
        )
        again = driver.next()
        assert (again.architecture.key == first.architecture.key) == (name == "full")
        driver.close()


def test_a_latency_is_never_taken_from_another_study(sqlite):
    """It may be of another machine."""
    latency = ("study.sampler=grid", "objectives={minimize: latency_ms}")
    driver = open_driver(sqlite, *latency)
    assignment = driver.next()
    driver.record(assignment.trial, measured(driver, assignment, latency_ms=1.0))
    driver.close()
    driver = open_driver(sqlite, *latency, name="second")
    assert driver.next().architecture == assignment.architecture
    driver.close()


@pytest.mark.parametrize("change", ["resources.cpus_per_trial=2", "resources.gpus_per_trial=1"])
def test_a_front_of_latencies_is_of_one_kind_of_device(sqlite, change):
    latency = "objectives={minimize: latency_ms}"
    open_driver(sqlite, latency).close()
    with pytest.raises(
        SpaceChanged, match=r"resources\.(threads|device): was (1|cpu), is now (2|cuda)"
    ):
        open_driver(sqlite, latency, change)


def test_a_value_that_is_written_out_is_the_same_as_the_recipes(sqlite):
    text = SPACE.replace("epochs: 1, ", "epochs: 1, weight_decay: 5e-4, ")
    open_driver(sqlite).close()
    open_driver(sqlite, text=text).close()


def test_another_recipe_number_of_epochs_or_seed_is_another_measurement(sqlite):
    driver = open_driver(sqlite, "study.sampler=grid")
    keys = finish(driver)
    driver.close()
    for index, change in enumerate(
        ["training.epochs=2", "training.learning_rate=0.01", "study.seed=1", "data.limit=200"]
    ):
        driver = open_driver(sqlite, "study.sampler=grid", change, name=f"other{index}")
        assert finish(driver) == keys, change
        driver.close()
    driver = open_driver(sqlite, "study.sampler=grid", name="same")
    assert finish(driver) == []
    assert states(sqlite, "same") == {"COMPLETE": 6}
    driver.close()


def test_a_trial_with_several_seeds_is_their_mean(sqlite):
    driver = open_driver(sqlite, "study.seeds_per_trial=3", "study.trials=1")
    assignment = driver.next()
    assert len(set(assignment.seeds)) == 3
    results = tuple(
        replace(m, accuracy=accuracy, curve=((1.0, 1.0, accuracy),))
        for m, accuracy in zip(measured(driver, assignment), (0.2, 0.3, 0.7), strict=True)
    )
    driver.record(assignment.trial, results)
    driver.close()
    (record,) = read_records(sqlite, "tiny").complete
    assert record.accuracy == pytest.approx(0.4)
    assert record.curve == pytest.approx((0.4,))
    assert len(Store(sqlite).all()) == 3


def test_a_trials_seed_depends_on_study_architecture_and_replicate_alone(sqlite):
    assert trial_seed(0, "a" * 16, 0) == trial_seed(0, "a" * 16, 0)
    assert len({trial_seed(s, k, r) for s in (0, 1) for k in ("a", "b") for r in (0, 1)}) == 8
    assert 0 <= trial_seed(0, "a", 0) < 2**48
    driver = open_driver(sqlite)
    assignment = driver.next()
    assert assignment.seeds == (trial_seed(0, assignment.architecture.key, 0),)
    driver.close()


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "nsga3", "random", "grid", "gp"])
@pytest.mark.parametrize("objectives", ["{minimize: macs}", "{maximize: accuracy}"])
def test_every_sampler_proposes_different_architectures(sqlite, sampler, objectives):
    driver = open_driver(
        sqlite, f"study.sampler={sampler}", f"objectives={objectives}", "study.trials=14"
    )
    keys = finish(driver)
    assert len(set(keys)) == 14
    driver.close()
    driver = open_driver(
        sqlite, f"study.sampler={sampler}", f"objectives={objectives}", "study.trials=18"
    )
    assert len(set(finish(driver)) | set(keys)) == 18
    driver.close()


SMALL = SPACE.replace("segments: 1..C", "segments: [1, 2]").replace(
    "order: [spatial_first, pointwise_first, plain]", "scope: network"
)


@pytest.mark.parametrize("sampler", ["tpe", "grid", "random"])
def test_a_space_that_is_used_up_ends_the_search(sqlite, sampler):
    driver = open_driver(sqlite, f"study.sampler={sampler}", text=SMALL)
    assert len(finish(driver)) == 4  # two counts of segments and two activations
    assert driver.exhausted
    driver.close()


@pytest.mark.parametrize("sampler", ["tpe", "grid"])
def test_architectures_over_the_budget_leave_no_trial(sqlite, sampler):
    driver = open_driver(sqlite)
    cheapest, dearest = driver.space.macs_range
    driver.close()
    budget = cheapest + (dearest - cheapest) // 8
    driver = open_driver(
        sqlite, f"macs={{at_most: {budget}}}", f"study.sampler={sampler}", name="bounded"
    )
    finish(driver)
    driver.close()
    records = read_records(sqlite, "bounded")
    assert len(records.trials) == 6
    assert all(record.macs <= budget for record in records.trials)


def test_a_sampler_learns(sqlite):
    """On a task with one right answer, TPE's last proposals are better than its first."""
    space = SPACE.replace("trials: 6", "trials: 60")
    driver = open_driver(sqlite, "objectives={maximize: accuracy}", text=space)
    scores = []
    while (assignment := driver.next()) is not None:
        points = [block.point for block in assignment.architecture.blocks]
        score = (
            sum(p.activation == "relu" for p in points)
            + sum(p.order == "plain" for p in points) * -2
        )
        score += sum(int(str(p.segments).replace("C", "8")) for p in points) / 8
        scores.append(score)
        driver.record(assignment.trial, measured(driver, assignment, accuracy=score))
    assert sum(scores[-20:]) / 20 > sum(scores[:10]) / 10 + 0.5
    driver.close()


def test_the_memory_of_a_sampler_is_bounded_and_keeps_the_front(sqlite):
    space = open_driver(sqlite).space
    proposer = OptunaProposer(space, "random", 0, ["maximize", "minimize"])
    told = []
    for index in range(2 * HISTORY + 50):
        proposal = proposer.propose()
        values = (index % 97 / 97, float(index % 89))
        told.append(values)
        proposer.tell(proposal.ticket, values)
    trials = proposer.memory.get_trials(deepcopy=False)
    assert len(trials) <= 2 * HISTORY + 60  # and the front
    best = {told[i] for i in pareto_front(told)}
    assert best <= {tuple(t.values) for t in trials}


def test_rejected_proposals_do_not_crowd_out_what_was_measured(sqlite):
    driver = open_driver(sqlite)
    cheapest, _ = driver.space.macs_range
    driver.close()
    space = open_driver(sqlite, f"macs={{at_most: {int(cheapest * 1.2)}}}", name="tight").space
    proposer = OptunaProposer(space, "random", 0, ["maximize", "minimize"])
    complete = rejected = 0
    while complete + rejected < 3 * HISTORY:
        try:
            proposer.tell(proposer.propose().ticket, (0.5 - complete / 1e4, 1e6 + complete))
            complete += 1
        except ArchitectureError:
            rejected += 1
    assert rejected > 2 * complete
    kept = proposer.memory.get_trials(deepcopy=False)
    assert sum(t.state.name == "COMPLETE" for t in kept) >= min(HISTORY, complete)


def test_a_running_proposal_survives_the_bounding_of_the_memory(sqlite):
    space = open_driver(sqlite).space
    proposer = OptunaProposer(space, "random", 0, ["maximize", "minimize"])
    waiting = [proposer.propose() for _ in range(3)]
    for index in range(2 * HISTORY + 10):
        proposer.tell(proposer.propose().ticket, (0.5, float(index)))
    for proposal in waiting:
        proposer.tell(proposal.ticket, (0.9, 1.0))
    values = [t.values for t in proposer.memory.get_trials(deepcopy=False)]
    assert values.count([0.9, 1.0]) == 3


def test_two_studies_can_be_begun_in_one_database_at_once(url):
    program = (
        "import sys; from pathlib import Path; from sqlalchemy.engine import make_url;"
        "from tests.nas.test_driver import open_driver, finish;"
        "Path(sys.argv[2]).mkdir(); import os; os.chdir(sys.argv[2]);"
        "d = open_driver(make_url(sys.argv[1]), name=sys.argv[2]); finish(d); d.close()"
    )
    address = url.render_as_string(hide_password=False)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    drivers = [
        subprocess.Popen(
            [sys.executable, "-c", program, address, name],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two", "three")
    ]
    for driver in drivers:
        _, err = driver.communicate(timeout=120)
        assert driver.returncode == 0, err
    assert [states(url, name) for name in ("one", "two", "three")] == [{"COMPLETE": 6}] * 3


def test_optunas_own_tools_read_the_study(sqlite):
    driver = open_driver(sqlite)
    finish(driver)
    driver.close()
    study = optuna.load_study(study_name="tiny", storage=str(sqlite))
    assert len(study.best_trials) >= 1
    trial = study.trials[0]
    assert set(trial.params) <= {p.name for p in driver.space.parameters}
    assert json.loads(trial.user_attrs["architecture"])["classes"] == 4
    assert optuna.importance.get_param_importances(study, target=lambda t: t.values[0])


def test_reading_a_database_without_tables_makes_none(sqlite):
    for _ in range(2):
        with pytest.raises(NoStudy, match="the database has no studies"):
            read_records(sqlite, "tiny")
    driver = open_driver(sqlite)
    with pytest.raises(NoStudy, match="the database has no study other; it has tiny"):
        read_records(sqlite, "other")
    driver.close()
