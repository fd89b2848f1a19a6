"""The stages of a search, and what is written down before the first."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import isinf

import torch

from nas.architecture.matching import MatchError
from nas.architecture.specification import Architecture
from nas.engine.driver import Driver
from nas.engine.environment import describe_environment
from nas.engine.optuna_storage import StudyTrials
from nas.engine.shared_training import warm_start
from nas.engine.stage import StageRunner
from nas.engine.time_budget import TimeUp
from nas.engine.tuning import tune
from nas.network.build import build_network
from nas.space import SearchSpace
from nas.space.errors import InputError
from nas.space.shown_text import shown_line
from nas.space.yaml_document import dump_yaml
from nas.study.ablation_terms import ablation_terms
from nas.study.design import Arm, Design, Stage, arms_of, design_seeds
from nas.study.fresh_images import folds_for
from nas.study.identity import with_confirmation
from nas.study.plan import Plan, register, registrations
from nas.study.race_terms import terms_of
from nas.study.records import read_arms, read_records, read_space
from nas.study.stage_names import confirmation_name, tuning_name
from nas.study.storage_url import shown_url
from nas.study.tuning import is_tuned
from trials.atomic_file import atomic_write_text
from trials.data import ImageData
from trials.failpoint import failpoint
from trials.measure import measure_latency
from trials.trial import prepare_process


def _arms_of_design(runner: StageRunner) -> tuple[Arm, ...]:
    """Their widths solved; those of an earlier run as they were. A search has none.

    Another version of this program may solve other widths, and a study goes on with its own.
    """
    space, place = runner.space, runner.place
    if space.file.design is None:
        return ()
    solved = read_arms(place.url, place.name)
    matched = space.file.matched
    if matched is None or matched.cost != "latency_ms":
        return arms_of(space, solved=solved)
    try:
        with runner.console.status("measuring latencies"):
            return arms_of(space, lambda network: _latency_ms(space, network), solved)
    except MatchError as error:
        path, hint = ("match", "latency_ms"), "a larger tolerance"
        raise space.document.error(path, str(error), hint) from None


def _latency_ms(space: SearchSpace, architecture: Architecture) -> float:
    resources = space.file.resources
    if resources.gpus_per_trial and not torch.cuda.is_available():
        raise InputError.of("match.latency_ms", "is measured here, and there is no GPU here")
    device = torch.device("cuda" if resources.gpus_per_trial else "cpu")
    prepare_process(resources.threads)
    network = build_network(architecture)
    return measure_latency(network, architecture.input_shape, device).median_ms


def arms_to_train(runner: StageRunner, data: ImageData) -> tuple[tuple[Arm, ...], str]:
    """The arms of a design as they are compared: each with what suits it, where they are tuned.

    What is claimed is written down before the first training, which is one of the tuning. What was
    chosen is written down by whoever opens the study with these arms, and stays.

    Returns:
        The arms, untuned where time was up; and why the tuning failed.
    """
    arms = _arms_of_design(runner)
    if runner.space.file.tune is None or is_tuned(arms):
        return arms, ""
    _write_down(runner, data, arms)
    return tune(runner, data, arms)


def write_down(runner: StageRunner, data: ImageData) -> None:
    """What a design claims, and its arms, before anything is trained."""
    _write_down(runner, data, _arms_of_design(runner))


def _write_down(runner: StageRunner, data: ImageData, arms: tuple[Arm, ...]) -> None:
    with runner.driving(runner.place.name, data, _design(runner, "screening", arms)) as driver:
        write_inputs(runner, data)
        register_plan(runner, driver, arms, data)


def _design(
    runner: StageRunner, stage: Stage, arms: tuple[Arm, ...], folds: int = 0
) -> Design | None:
    file = runner.space.file
    screened = file.design.seeds_of_looks[-1] if file.design else 0
    seeds = screened if stage == "screening" else file.fresh_seeds
    if not seeds:
        return None
    return Design(arms, design_seeds(file.name, file.study.seed, stage, seeds), folds=folds)


def register_plan(
    runner: StageRunner, driver: Driver, arms: tuple[Arm, ...], data: ImageData
) -> None:
    """Write down what is claimed, before the first trial."""
    name, storage = runner.place.name, driver.trials.storage
    results: dict[Stage, int] = {
        "screening": driver.trials.count_ended(),
        "confirmation": StudyTrials(storage, confirmation_name(name)).count_ended(),
    }
    if runner.space.file.tune is not None:
        results["tuning"] = StudyTrials(storage, tuning_name(name)).count_ended()
    race = terms_of(runner.space.file, arms, data.summary)
    ablation = ablation_terms(runner.space.file, arms, data.summary)
    before = registrations(name, driver.study.user_attrs)
    folds = folds_for(runner.space.file, data, before[-1].plan if before else None)
    plan = Plan.of(runner.space, arms, isinf(driver.wanted), race, ablation, folds)
    register(driver.study, plan, results, driver.trials.keep)
    if not driver.finished:
        for line in plan.unreachable_verdicts():
            runner.say(f"note: {line}")


def screen(
    runner: StageRunner,
    data: ImageData,
    show_arms: Callable[[StageRunner, Sequence[Arm]], None],
) -> tuple[str, int]:
    """Run the search or the design; returns why that failed, and how many trials are complete."""
    place = runner.place
    runner.space = with_confirmation(runner.space, read_space(place.url, place.name))
    arms, failure = arms_to_train(runner, data)
    if failure or runner.time_is_up:
        return failure, 0
    with runner.driving(place.name, data, _design(runner, "screening", arms)) as driver:
        write_inputs(runner, data)
        register_plan(runner, driver, arms, data)
        if not driver.finished:
            if arms:
                show_arms(runner, arms)
            with suppress(TimeUp):
                warm_start(runner, driver, data)
                runner.run(driver, data)
        driver.requeue_running()  # results may have come while time ran out
        driver.settle()
        return runner.failure_of(driver), driver.complete


def confirm(runner: StageRunner, data: ImageData) -> str:
    """Train what may be the best with fresh seeds; returns why that failed."""
    if not runner.space.file.fresh_seeds:
        return ""
    from nas.study.confirmation import arms_to_confirm  # SciPy loads for half a second

    failpoint("confirmation.begin")
    place = runner.place
    records = read_records(place.url, place.name)
    before = records.confirmation.arms if records.confirmation else ()
    chosen = arms_to_confirm(records, runner.space, records.arms)
    if not chosen:
        return ""
    kept = {arm.name: arm for arm in before}  # with the widths that they were solved for then
    arms = tuple({arm.name: kept.get(arm.name, arm) for arm in (*chosen, *before)}.values())
    folds = records.plans[-1].plan.folds  # written down before the first trial
    name, design = confirmation_name(place.name), _design(runner, "confirmation", arms, folds)
    with runner.driving(name, data, design) as driver:
        if not driver.finished:
            if folds:
                runner.say(records.fresh_images.in_words)
            # Nothing else reads the test split; nobody needs the weights.
            reads_test = runner.space.file.reads_test_split
            test = runner.study_data.load_test(data) if reads_test else None
            runner.run(driver, data, test, keep_weights=False, judges=True)
        driver.requeue_running()
        failure = runner.failure_of(driver)
        if not (failure or driver.done or records.arms):
            runner.say("the confirmation was cut short: the front is not confirmed")
        return failure


def write_inputs(runner: StageRunner, data: ImageData) -> None:
    """What was searched and where, so that the folder explains itself."""
    document, place = runner.space.document, runner.place
    note = f"# As searched: {shown_line(document.source)} with all options applied.\n"
    atomic_write_text(place.folder / "space.yaml", note + dump_yaml(document.value))
    resources = runner.space.file.resources
    environment = describe_environment() | {
        "command": runner.command,
        "storage": shown_url(place.url),
        "data": data.summary.fingerprint,
        "threads_per_trial": resources.threads,
        "device": "cuda" if resources.gpus_per_trial else "cpu",
    }
    atomic_write_text(place.folder / "environment.json", json.dumps(environment, indent=2) + "\n")
