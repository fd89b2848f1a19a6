"""Search a space from Python; ``python -m nas.search`` is this function behind options.

Ray starts workers of its own, so a script needs no ``if __name__ == "__main__"``, and a notebook
may search too. Ctrl-C stops at once; what is complete is kept, what is running will run again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.api.study import Study
from nas.engine.search import claim_folder, search_study
from nas.engine.stage import StageRunner
from nas.reporting.arm_table import arm_table
from nas.space import SearchSpace
from nas.space.errors import InputError
from nas.space.load import changed_space, load_space
from nas.study.design import Arm
from nas.study.location import RUNS, StudyPlace, storage_url
from nas.study.records import TrialRecord
from trials.data import DataError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from trials.data.from_python import PythonData


def run_search(
    space: SearchSpace | Mapping[str, object] | str | Path,
    *,
    trials: int | None = None,
    output: str | Path | None = None,
    storage: str | None = None,
    data: PythonData | None = None,
    sampler: BaseSampler | None = None,
    callbacks: Sequence[Callable[[TrialRecord], object]] = (),
    ray_address: str | None = None,
    quiet: bool = False,
    command: str = "nas.run_search",
) -> Study:
    """Search; the same call again resumes, and returns at once where all trials are complete.

    Args:
        space: a space, its sections, or the path of its file.
        trials: complete trials wanted, in place of the space's.
        output: folder of the results in place of ``runs/NAME``.
        storage: URL of a database in place of SQLite in that folder.
        data: in place of the space's source; kept in the folder, so that commands find it, too.
        sampler: any of Optuna's in place of the one that the space names.
        callbacks: called with every trial that ends here; what one raises ends the search.
        ray_address: of a running Ray cluster in place of this machine.
        quiet: print nothing but that the search was interrupted.
        command: how to resume, for ``environment.json``.

    Raises:
        InputError: everything that is wrong with the space or its data, each with its place.
        SpaceChanged: the study was begun with another space.
        StudyLocked: another process runs it.
        SearchFailed: ten trials in a row have failed, or none is complete.
    """
    space = _space(space)
    folder = RUNS / space.file.name if output is None else Path(output)
    place = StudyPlace(space.file.name, folder, storage_url(storage, folder))
    space = _with_arguments(space, place, trials, data)
    runner = StageRunner(space, place, ray_address, quiet, sampler, callbacks)
    search_study(runner, command, _show_arms, _write_results)
    return Study(place)


def _space(space: SearchSpace | Mapping[str, object] | str | Path) -> SearchSpace:
    if isinstance(space, SearchSpace):
        return space
    return SearchSpace(space) if isinstance(space, Mapping) else load_space(space)


def _with_arguments(
    space: SearchSpace, place: StudyPlace, trials: int | None, data: PythonData | None
) -> SearchSpace:
    """The space with what is given in place of its own values."""
    changes: dict[str, tuple[tuple[str, ...], object]] = {}
    if trials is not None:
        changes["trials"] = (("study", "trials"), trials)
    if data is not None:
        changes["data"] = (("data",), _data_section(space, place, data))
    return changed_space(space, changes) if changes else space


def _data_section(space: SearchSpace, place: StudyPlace, data: PythonData) -> dict[str, object]:
    """The section for data in memory: of the space's own, only how much of it validates is kept."""
    from trials.data.from_python import arrays_of, layout_of, write_archive  # loads PyTorch

    try:
        arrays = arrays_of(data)
    except DataError as error:
        raise InputError.of("data", str(error), error.hint) from None
    if space.file.confirm is not None and "x_test" not in arrays:
        message = "has no test split, which confirm reads"
        hint = "leave confirm out, or give {'train': ..., 'test': ...}"
        raise InputError.of("data", message, hint)
    claim_folder(place)
    archive = write_archive(arrays, place.folder)
    section = {"source": f"npz:{archive}", "validation": space.file.data.validation}
    layout = layout_of(arrays)
    return section | {"layout": layout} if layout else section


def _show_arms(runner: StageRunner, arms: Sequence[Arm]) -> None:
    runner.console.print(arm_table(arms, runner.space.file.matched))


def _write_results(runner: StageRunner) -> None:
    """Report, dashboard and the exported knee."""
    # Plotly, fANOVA and the dashboard load for a second: only once there is something to show.
    from nas.reporting.study_files import write_study_files

    write_study_files(runner.place, runner.console.print)
