"""Search a space from Python; ``python -m nas.search`` is this function behind options.

Ray starts workers of its own, so a script needs no ``if __name__ == "__main__"``, and a notebook
may search too. Ctrl-C stops at once; what is complete is kept, what is running will run again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nas.engine.lock import StudyLocked
from nas.engine.search import search_study
from nas.engine.stage import StageRunner
from nas.engine.stall import patience_of
from nas.engine.time_budget import TimeBudget
from nas.space import SearchSpace
from nas.space.confirm_section import ConfirmSection
from nas.space.errors import InputError
from nas.space.load import build_space, read_document
from nas.space.sections import valid_sections
from nas.space.yaml_document import Document, assign, document_of
from nas.study.identity import SpaceChanged
from nas.study.location import RUNS, StudyPlace
from nas.study.storage_url import storage_url
from trials.data import DataConfig, DataError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from nas.api.study import Study
    from nas.study.design import Arm
    from nas.study.trial_record import TrialRecord
    from trials.data import ImageData
    from trials.data.from_python import PythonData

SpaceLike = SearchSpace | Mapping[str, object] | str | Path
"""A space, its sections, or the path of its file."""


def run_search(
    space: SpaceLike,
    *,
    trials: int | None = None,
    budget: str | float | TimeBudget | None = None,
    output: str | Path | None = None,
    storage: str | None = None,
    data: PythonData | None = None,
    sampler: BaseSampler | None = None,
    callbacks: Sequence[Callable[[TrialRecord], object]] = (),
    ray_address: str | None = None,
    stall: str | float = "10m",
    quiet: bool = False,
    command: str = "nas.run_search",
) -> Study:
    """Search; the same call again resumes, and returns at once where all trials are complete.

    Args:
        space, trials: that is searched; complete trials wanted, in place of the space's.
        budget: wall time, report included: ``"10m"``, or seconds; alone, as many trials as fit.
        output, storage: folder in place of ``runs/NAME``; URL of a database in place of SQLite.
        data: in place of the space's source, which need not be there; kept in the folder.
        sampler: any of Optuna's in place of the one that the space names.
        callbacks: called with every trial that ends here; one of the confirmation has an `arm`.
        ray_address, stall: of a running Ray cluster; how long nothing may happen, or it ends.
        quiet, command: print nothing but that it was interrupted; how to resume it.

    Raises:
        InputError: everything that is wrong with the space or its data, each with its place.
        SpaceChanged, StudyLocked: it was begun with another space; another process runs it.
        SearchFailed, RayFailed: ten trials in a row have failed, or none is complete, or the disk
            or the database has; Ray has.
    """
    document, time = _document(space, trials, data), TimeBudget.of(budget, trials, "budget")
    with _keeping(document, data, output):
        found = _built(space, document)
        place = _place(found.file.name, output, storage)
        rest = (ray_address, quiet, sampler, callbacks, time, command, patience_of(stall, "stall"))
        search_study(StageRunner(found, place, *rest), _show_arms, _write_results)
    return _study(place)


def _study(place: StudyPlace) -> Study:
    from nas.api.study import Study  # only now: Optuna loads while Ray starts

    return Study(place)


def _document(
    space: SpaceLike,
    trials: int | None,
    data: PythonData | None,
) -> Document:
    """What a space was written as, with what is given in place of its own values."""
    if isinstance(space, SearchSpace):
        if trials in (None, space.file.study.trials) and data is None:
            return space.document
        document = copy.deepcopy(space.document)
    elif isinstance(space, Mapping):
        document = document_of(space, "search space")
    else:
        document = read_document(space)
    if trials is not None:
        assign(document, ("study", "trials"), trials, "trials")
    return document


def _built(space: SpaceLike, document: Document) -> SearchSpace:
    """The space of a document; a space that is as it was given is not checked again."""
    if isinstance(space, SearchSpace) and document is space.document:
        return space
    return build_space(document)


def _place(name: str, output: str | Path | None, storage: str | None) -> StudyPlace:
    folder = _folder(name, output)
    return StudyPlace(name, folder, storage_url(storage, folder))


def _folder(name: str, output: str | Path | None) -> Path:
    return RUNS / name if output is None else Path(output)


@contextmanager
def _keeping(
    document: Document, data: PythonData | None, output: str | Path | None
) -> Iterator[None]:
    """Data in memory kept in the study's folder; not where there comes to be no study of it."""
    kept = None if data is None else _keep_data(document, data, output)
    try:
        yield
    except (InputError, SpaceChanged, StudyLocked):
        if kept is not None and not _names(kept.parent / "space.yaml", kept):
            kept.unlink()
            with suppress(OSError):  # there is more in the folder
                kept.parent.rmdir()
        raise


def _names(space: Path, data: Path) -> bool:
    """Whether a study has begun with this data: its space, as searched, names it."""
    return space.is_file() and data.name in space.read_text(encoding="utf-8")


def _keep_data(document: Document, data: PythonData, output: str | Path | None) -> Path | None:
    """Put data in memory in the place of a space's own; returns the file, if it is a new one.

    Of the space's own only how much validates, columns and sizes are used; its source need not be
    there.
    """
    from trials.data.from_python import arrays_of, layout_of, write_archive  # loads PyTorch

    if isinstance(document.value, dict) and not isinstance(document.value.get("data"), dict):
        assign(document, ("data",), {}, "data")
    assign(document, ("data", "source"), "python", "data")
    sections = valid_sections(document)
    if document.problems:
        raise InputError(document.problems)
    own = sections["data"]
    columns = {"image_column": own.image_column, "label_column": own.label_column}
    try:
        arrays = arrays_of(data, DataConfig("python", **columns, resize=own.config.resize))
    except DataError as error:
        raise InputError.of("data", str(error), error.hint) from None
    if isinstance(sections["confirm"], ConfirmSection) and "x_test" not in arrays:
        message = "has no test split, which confirm reads"
        hint = "leave confirm out, or give {'train': ..., 'test': ...}"
        raise InputError.of("data", message, hint)
    archive, new = write_archive(arrays, _folder(sections["name"], output))
    section: dict[str, object] = {"source": f"npz:{archive}", "validation": own.validation}
    if (layout := layout_of(arrays)) is not None:
        section["layout"] = layout
    if own.resize is not None:  # what reads pictures for the network has to do the same
        section["resize"] = {"size": list(own.resize.size), "mode": own.resize.mode}
    assign(document, ("data",), section, "data")
    return archive if new else None


def _show_arms(runner: StageRunner, arms: Sequence[Arm]) -> None:
    from nas.engine.terminal import print_table
    from nas.reporting.arm_table import arm_table
    from nas.space.alike_arms import alike_arms

    print_table(arm_table(arms, runner.space), runner.console)
    for line in alike_arms(runner.space):
        runner.say(f"note: {line}")


def _write_results(runner: StageRunner, data: ImageData) -> None:
    """Report, dashboard and the exported knee; of several budgets what they show together."""
    if runner.space.file.budget_names:
        from nas.reporting.budgets_page import write_budgets_files

        write_budgets_files(runner.place, runner.say)
        return
    # Plotly, fANOVA and the dashboard load for a second: only once there is something to show.
    from nas.reporting.study_files import write_study_files

    write_study_files(runner.place, data, runner.say, runner.lock.fence)
