"""Search a space: ``python -m nas.search --space search_spaces/spectrum.yaml``.

The same command again resumes the study, whatever ended it.
"""

from __future__ import annotations

import sys

from nas.engine.signals import end_before_begun, ended_by_requests

if __name__ == "__main__" or sys.argv[0].endswith("nas-search"):
    end_before_begun()  # first: what follows loads for more than a second

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from nas.api.run_search import run_search
from nas.cli import (
    NoCacheOption,
    RayOption,
    SetOption,
    StallOption,
    StorageOption,
    cli_errors,
    command,
)
from nas.engine.outcome import SearchFailed
from nas.engine.ray_failures import RayFailed
from nas.engine.stall import patience_of
from nas.engine.time_budget import TimeBudget
from nas.space import SearchSpace
from nas.space.errors import InputError
from nas.space.load import build_space, read_document
from nas.space.shown_text import shown_command

STUDY = "Name of the study; default: the file's."
BUDGET = "Wall time, results and report included, such as 90s, 10m or 2h."
OUTPUT = "Folder of the results; default: runs/STUDY."
GPUS = "GPUs per trial; may be a fraction."
SAMPLERS = "Sampler: tpe, nsga2, nsga3, gp, random or grid."
CONTROLS = "Negative (twin) and positive (handicapped) controls, added to a design."

IN_THE_FILE = {
    "--trials": ("study", "trials"),
    "--study": ("name",),
    "--cpus-per-trial": ("resources", "cpus_per_trial"),
    "--gpus-per-trial": ("resources", "gpus_per_trial"),
    "--seed": ("study", "seed"),
    "--epochs": ("training", "epochs"),
    "--sampler": ("study", "sampler"),
    "--controls": ("design", "controls"),
}
"""Options in place of what the file says, and where it does."""

app = command()


@app.command()
def search(
    space: Annotated[Path, typer.Option(help="Search-space file (YAML).")],
    trials: Annotated[int | None, typer.Option(help="Number of complete trials.")] = None,
    budget: Annotated[str | None, typer.Option(help=BUDGET)] = None,
    storage: StorageOption = None,
    study: Annotated[str | None, typer.Option(help=STUDY)] = None,
    output: Annotated[Path | None, typer.Option(help=OUTPUT)] = None,
    cpus_per_trial: Annotated[float | None, typer.Option(help="CPU cores per trial.")] = None,
    gpus_per_trial: Annotated[float | None, typer.Option(help=GPUS)] = None,
    ray_address: RayOption = None,
    stall: StallOption = "10m",
    seed: Annotated[int | None, typer.Option(help="Seed of the whole study.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of each training.")] = None,
    sampler: Annotated[str | None, typer.Option(help=SAMPLERS)] = None,
    overrides: SetOption = None,
    controls: Annotated[bool, typer.Option("--controls", help=CONTROLS)] = False,
    no_cache: NoCacheOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
) -> None:
    """Search the separability spectrum; the same command again resumes."""
    wanted = (trials, study, cpus_per_trial, gpus_per_trial, seed, epochs, sampler)
    values = zip(IN_THE_FILE.items(), (*wanted, controls or None), strict=True)
    options = {option: (place, value) for (option, place), value in values}
    with cli_errors(), _resumable() as this_command:
        run_search(
            budget=TimeBudget.of(budget, trials, "--budget"),  # begins before the data is read
            space=_space(space, overrides, no_cache, options),
            trials=trials,
            output=output,
            storage=storage,
            ray_address=ray_address,
            stall=patience_of(stall, "--stall"),
            quiet=quiet,
            command=this_command,
        )


def _space(
    file: Path,
    overrides: Sequence[str] | None,
    no_cache: bool,
    options: Mapping[str, tuple[tuple[str, ...], object]],
) -> SearchSpace:
    """The space of a file with the options that were given."""
    assignments = [*(overrides or ()), *(["data.memory=null"] if no_cache else [])]
    given = {option: value for option, value in options.items() if value[1] is not None}
    document = read_document(file, assignments, given)
    design = document.value.get("design") if isinstance(document.value, dict) else None
    if "--controls" in given and design == {"controls": True}:
        hint = "add design: {seeds: 5} to it"
        raise InputError.of("--controls", f"adds arms to a design, and {file} has none", hint)
    return build_space(document)


@contextmanager
def _resumable() -> Iterator[str]:
    """The command of this process, said where it is interrupted; without passwords."""
    this_command = f"python -m nas.search {shown_command(sys.argv[1:])}"
    resume = f"resume with:\n{this_command}"
    try:
        with ended_by_requests(resume):
            yield this_command
    except (SearchFailed, RayFailed) as error:
        raise SearchFailed(f"{error}\n{resume}") from error


if __name__ == "__main__":
    app()
