"""A search from its data to its results: screening and confirmation on fresh seeds, or a race."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.engine.claimed_folder import claim_folder, held_folder
from nas.engine.fence import DriverReplaced
from nas.engine.leftovers import clean_up, remove_unfinished
from nas.engine.lock import ANOTHER_STORAGE
from nas.engine.network_files import network_file_system
from nas.engine.outcome import SearchFailed, failing_with_the_machine
from nas.engine.stage import StageRunner
from nas.space.shown_text import shown_line
from trials.data import ImageData
from trials.failpoint import failpoint

if TYPE_CHECKING:
    from nas.study.design import Arm


def search_study(
    runner: StageRunner,
    show_arms: Callable[[StageRunner, Sequence[Arm]], None],
    write_results: Callable[[StageRunner, ImageData], None],
) -> None:
    """Run what is left to run of a study, and write its results.

    Args:
        show_arms: called before the first arm of a design is trained.
        write_results: called once there are some.

    Raises:
        SearchFailed: too many trials failed, or none is complete; a disk or the database failed.
        Interrupted: the search was asked to stop; the same call resumes it.
    """
    with failing_with_the_machine():  # which may fail before anybody has the lock
        claim_folder(runner.place)
        clean_up()  # where nothing is left to run there will be no Ray, before which it is done
        failpoint("search.begin")
        with runner.lock, held_folder(runner.place):
            failure = _search(runner, show_arms, write_results)
    if failure:
        raise SearchFailed(failure)


def _search(
    runner: StageRunner,
    show_arms: Callable[[StageRunner, Sequence[Arm]], None],
    write_results: Callable[[StageRunner, ImageData], None],
) -> str:
    """As the driver of the study; returns why it failed."""
    remove_unfinished(runner.place.folder)
    _warn_of_network(runner)
    data = runner.study_data.load()
    with runner.ray:
        if _is_new(runner):  # of another there may be nothing left to run
            runner.ray.start_soon()
        if runner.space.file.budget_names:
            failure = _run_budgets(runner, data, show_arms, write_results)
        else:
            failure = _run_stages(runner, data, show_arms, write_results)
    remove_unfinished(runner.place.folder)  # its workers have ended, some in the middle of a file
    return failure


def _run_budgets(
    runner: StageRunner,
    data: ImageData,
    show_arms: Callable[[StageRunner, Sequence[Arm]], None],
    write_results: Callable[[StageRunner, ImageData], None],
) -> str:
    """Run all budgets, and write the results of each and of all; returns why one failed."""
    from nas.engine.budgets import search_budgets

    written: list[StageRunner] = []

    def write(at_budget: StageRunner, images: ImageData) -> None:
        write_results(at_budget, images)
        written.append(at_budget)

    def run_stages(at_budget: StageRunner, images: ImageData) -> str:
        return _run_stages(at_budget, images, show_arms, write, ends_ray=False)

    failure = search_budgets(runner, data, run_stages)
    if written:
        runner.ray.end_soon()
        write_results(runner, data)
    return failure


def _run_stages(
    runner: StageRunner,
    data: ImageData,
    show_arms: Callable[[StageRunner, Sequence[Arm]], None],
    write_results: Callable[[StageRunner, ImageData], None],
    ends_ray: bool = True,
) -> str:
    """Run them and write their results; returns why one failed."""
    # PyTorch and Optuna load for seconds, while Ray starts.
    from nas.engine.references import train_references
    from nas.engine.screen_and_confirm import confirm, screen

    design = runner.space.file.design
    if design is not None and design.is_race:
        from nas.engine.race import race  # SciPy loads for half a second

        failure, complete = race(runner, data, show_arms)
    else:
        failure, complete = screen(runner, data, show_arms)
    try:
        if not failure and not runner.time_is_up:
            failure = confirm(runner, data)
        if not failure and not runner.time_is_up:
            train_references(runner, data)
    except DriverReplaced:  # whoever replaced it writes the results
        raise
    except Exception as error:  # what was found before stays found
        try:
            write_results(runner, data)
        except Exception as second:
            error.add_note(f"nor could what was found before be written: {second}")
        raise
    if complete:
        if ends_ray:
            runner.ray.end_soon()
        failpoint("results.begin")
        write_results(runner, data)
        failpoint("results.written")
    return failure


def _warn_of_network(runner: StageRunner) -> None:
    """SQLite's log is shared memory, and not every network file system keeps locks."""
    url = runner.place.url
    if url.get_backend_name() != "sqlite":
        return
    file = Path(str(url.database))
    if kind := network_file_system(file):
        runner.say(
            f"note: {shown_line(str(file))} is on a network file system ({kind}), where SQLite may "
            f"be damaged or never be unlocked; {ANOTHER_STORAGE}"
        )


def _is_new(runner: StageRunner) -> bool:
    """Whether nothing was run of a study before, and nothing is to be timed before its first trial.

    As far as the file of its database tells.
    """
    url, matched = runner.place.url, runner.space.file.matched
    timed = matched is not None and matched.cost == "latency_ms"
    return url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists() and not timed
