"""The stage in which each arm of a design is given what suits it, before the arms are compared."""

from __future__ import annotations

from nas.engine.stage import StageRunner
from nas.study.design import Arm, Design, design_seeds
from nas.study.stage_names import tuning_name
from nas.study.tuning import at_the_edge, tuned, variants_of
from trials.data import ImageData


def tune(
    runner: StageRunner, data: ImageData, arms: tuple[Arm, ...]
) -> tuple[tuple[Arm, ...], str]:
    """Train each arm with all its settings, as far as that is not done yet.

    It is an Optuna study of its own, resumed as any stage is; whoever goes on keeps the arms with
    the study, and nothing chooses for them again.

    Returns:
        The arms with the best setting of each, as they were where the tuning did not come to its
        end; and why it failed.
    """
    file, name = runner.space.file, runner.place.name
    section = file.tune
    variants = variants_of(arms, section) if section is not None else ()
    if section is None or not variants:
        return arms, ""
    seeds = design_seeds(file.name, file.study.seed, "tuning", section.seeds)
    with runner.driving(tuning_name(name), data, Design(variants, seeds)) as driver:
        if not driver.finished:
            tried = "; ".join(section.in_words())
            runner.say(f"tuning each arm, on {len(seeds)} seeds that nothing else sees: {tried}")
            runner.run(driver, data, keep_weights=False)
        driver.requeue_running()  # results may have come while time ran out
        failure = runner.failure_of(driver)
        if failure or not driver.done:
            return arms, failure
        chosen = tuned(arms, section, driver.records().trials)
    for arm in chosen:
        for line in at_the_edge(arm.name, arm.setting, section) if not arm.control_of else ():
            runner.say(f"note: {line}")
    return chosen, ""
