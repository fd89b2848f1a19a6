"""A study of several budgets: its designs, one after the other, each as if it were alone.

Each is a study of its own name, in the same database and in a folder of the study's folder: what is
run and judged of one budget knows nothing of the others. The study itself has no trials; that it is
there keeps its budgets what they were when it was begun.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from nas.engine.claimed_folder import claim_folder, held_folder
from nas.engine.leftovers import remove_unfinished
from nas.engine.screen_and_confirm import write_down, write_inputs
from nas.engine.stage import StageRunner
from nas.study.design import Design
from trials.data import ImageData

Stages = Callable[[StageRunner, ImageData], str]
"""Runs what is left to run of one budget, and returns why it failed."""


def search_budgets(runner: StageRunner, data: ImageData, run_stages: Stages) -> str:
    """Run what is left to run of each budget; returns why one failed.

    What is claimed at each budget is written down before the first training at any.
    """
    names = runner.space.file.budget_names
    with ExitStack() as held:
        _open_study(runner, data)
        runners = [
            runner.at_budget(space, runner.place.at_budget(name))
            for name, space in zip(names, runner.space.budgets, strict=True)
        ]
        images = [_images(at_budget, runner, data) for at_budget in runners]
        for at_budget, its_images in zip(runners, images, strict=True):
            claim_folder(at_budget.place)
            held.enter_context(at_budget.lock)
            held.enter_context(held_folder(at_budget.place))
            remove_unfinished(at_budget.place.folder)
            write_down(at_budget, its_images)
        for number, at_budget in enumerate(runners):
            runner.say(f"budget {number + 1} of {len(names)}: {names[number]}")
            failure = run_stages(at_budget, images[number])
            remove_unfinished(at_budget.place.folder)
            if failure or at_budget.time_is_up:
                return failure
    return ""


def _open_study(runner: StageRunner, data: ImageData) -> None:
    """The study itself, whose budgets cannot be others once it is begun."""
    with runner.driving(runner.place.name, data, Design((), ())):
        write_inputs(runner, data)


def _images(at_budget: StageRunner, runner: StageRunner, data: ImageData) -> ImageData:
    """The same at each budget, unless a claim is judged on half of those that validate."""
    same = at_budget.space.file.data_config == runner.space.file.data_config
    return data if same else at_budget.study_data.load()
