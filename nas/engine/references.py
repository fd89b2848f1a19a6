"""The last stage of a search: the published networks that its front is shown beside."""

from __future__ import annotations

from nas.engine.stage import StageRunner
from nas.study.design import Design
from nas.study.records import read_arms, read_records
from nas.study.references import reference_arms, reference_seeds
from nas.study.stage_names import references_name
from trials.data import ImageData


def train_references(runner: StageRunner, data: ImageData) -> None:
    """Train them as far as that is not done yet; what fails here fails no search."""
    file, place = runner.space.file, runner.place
    if not file.references:
        return
    records, name = read_records(place.url, place.name), references_name(place.name)
    kept = read_arms(place.url, name)
    arms = tuple(reference_arms(runner.space, records.front, kept, runner.say))
    if not arms:
        return
    folds = records.plans[-1].plan.folds if records.plans else 0  # the images that judge the front
    design = Design(arms, reference_seeds(file), folds=folds)
    with runner.driving(name, data, design) as driver:
        if not driver.finished:
            runner.run(driver, data, keep_weights=False)
        driver.requeue_running()  # results may have come while time ran out
        failure = runner.failure_of(driver)
    if failure:
        runner.say(f"note: the references are not complete: {failure}")
