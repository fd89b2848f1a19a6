"""Search a space from Python; ``python -m nas.search`` is this function behind options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.api.study import Study
from nas.engine.search import claim_folder, search_study
from nas.engine.stage import StageRunner
from nas.reporting.arm_table import arm_table
from nas.space import SearchSpace
from nas.space.load import changed_space, load_space
from nas.study.location import RUNS, StudyPlace, storage_url
from nas.study.records import TrialRecord

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from rich.console import Console

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

    Ray starts workers of its own, so a script needs no ``if __name__ == "__main__"``, and a
    notebook may call this. Ctrl-C stops the search between two trials; what is complete is kept.

    Args:
        space: what is searched: a space, its sections, or the path of its file.
        trials: complete trials wanted, in place of the space's.
        output: folder of the results; ``runs/NAME`` unless it is given.
        storage: URL of a database in place of SQLite in that folder.
        data: images and labels in place of the space's: a map-style `torch.utils.data.Dataset` of
            (image, label) or a pair of arrays, see `trials.data.from_python`. They are kept in the
            folder as ``data.npz``, so that the commands can resume, retrain and report, too.
        sampler: any sampler of Optuna's in place of the one that the space names.
        callbacks: called in this process with every trial that is complete or has failed. What one
            raises ends the search, which can be resumed.
        ray_address: of a running Ray cluster, in place of this machine.
        quiet: print nothing.
        command: how to resume, for ``environment.json``.

    Raises:
        InputError: everything that is wrong with the space or its data, each with its place.
        SpaceChanged: the study was begun with another space.
        StudyLocked: another process runs it.
        SearchFailed: ten trials in a row have failed, or none is complete.
    """
    if isinstance(space, Mapping):
        space = SearchSpace(space)
    elif not isinstance(space, SearchSpace):
        space = load_space(space)
    folder = RUNS / space.file.name if output is None else Path(output)
    place = StudyPlace(space.file.name, folder, storage_url(storage, folder))
    space = _with_arguments(space, place, trials, data)
    runner = StageRunner(space, place, ray_address, quiet, sampler, callbacks)
    search_study(
        runner,
        command,
        show_arms=lambda arms: runner.console.print(arm_table(arms, space.file.matched)),
        write_results=lambda: _write_results(place, runner.console),
    )
    return Study(place)


def _with_arguments(
    space: SearchSpace, place: StudyPlace, trials: int | None, data: PythonData | None
) -> SearchSpace:
    """The space with what is given in place of its own values."""
    changes: dict[str, tuple[tuple[str, ...], object]] = {}
    if trials is not None:
        changes["trials"] = (("study", "trials"), trials)
    if data is not None:
        from trials.data.from_python import keep_as_npz  # PyTorch loads for a second

        claim_folder(place)
        archive = keep_as_npz(data, place.folder / "data.npz")
        changes["data"] = (("data", "source"), f"npz:{archive}")
    return changed_space(space, changes) if changes else space


def _write_results(place: StudyPlace, console: Console) -> None:
    """Report, dashboard and the exported knee."""
    # Plotly, fANOVA and the dashboard load for a second: only once there is something to show.
    from nas.reporting.study_files import write_study_files

    write_study_files(place, console.print)
