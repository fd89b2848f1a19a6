"""The stage of a design that is a race: arms are trained on, look after look, until it is over.

Who is trained next follows from the trainings that there are, so a race that was interrupted goes
on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nas.engine.driver import Driver
from nas.engine.screen_and_confirm import arms_to_train, register_plan, write_inputs
from nas.engine.stage import StageRunner
from nas.statistics.race import Race
from nas.study.design import BESIDE, Arm, Design
from nas.study.race import race_of_records
from nas.study.race_terms import RaceTerms, race_seeds, terms_of
from trials.data import ImageData, Split


def race(
    runner: StageRunner,
    data: ImageData,
    show_arms: Callable[[StageRunner, Sequence[Arm]], None],
) -> tuple[str, int]:
    """Run a race to its end; returns why that failed, and how many trainings are complete."""
    arms, failure = arms_to_train(runner, data)
    terms = terms_of(runner.space.file, arms, data.summary)
    if failure or runner.time_is_up or terms is None:
        return failure, 0
    name, seeds = runner.place.name, race_seeds(runner.space.file, terms)
    with runner.driving(name, data, Design(arms, seeds)) as driver:
        write_inputs(runner, data)
        register_plan(runner, driver, arms, data)
        found, complete = _race_of(driver), driver.complete
    if found.is_over:
        return "", complete
    show_arms(runner, arms)
    test = runner.study_data.load_test(data) if runner.space.file.claim.on == "test" else None
    while found.missing is not None:
        up_to = _beside(arms, terms, found.missing) | found.trained | found.missing
        with runner.driving(name, data, Design(arms, seeds, up_to)) as driver:
            _train(runner, driver, data, test)
            failure, complete = runner.failure_of(driver), driver.complete
            if failure or not driver.done:
                return failure, complete
            found = _race_of(driver)
        if not found.is_over:
            runner.say(_in_a_line(found))
    return "", complete


def _beside(arms: Sequence[Arm], terms: RaceTerms, missing: Mapping[str, int]) -> dict[str, int]:
    """Seeds of the twin, which tells what chance alone does, and of published networks.

    Those of the first two looks.
    """
    seeds = min(terms.looks[:2][-1], max(missing.values()))
    return {arm.name: seeds for arm in arms if arm.role in BESIDE}


def _race_of(driver: Driver) -> Race:
    return race_of_records(driver.records(), driver.store.all(driver.trials.study))


def _train(runner: StageRunner, driver: Driver, data: ImageData, test: Split | None) -> None:
    if not driver.finished:
        runner.run(driver, data, test, judges=True)
    driver.requeue_running()  # results may have come while time ran out


def _in_a_line(found: Race) -> str:
    """What a look has decided, in a line."""
    look, left = found.looks[-1], len(found.plan.interior) - len(found.refuted)
    refuted = f"; out: {' / '.join(look.refuted)}" if look.refuted else ""
    behind = f"; behind another end: {' / '.join(look.dropped)}" if look.dropped else ""
    return (
        f"look {len(found.looks)} of {len(found.plan.looks)}, {look.seeds} seeds: "
        f"{found.ranking[0]} leads {left} interior arms, {found.ends[0]} the ends{refuted}{behind}"
    )
