"""Search a space: ``python -m nas.search --space search_spaces/spectrum.yaml``.

The same command again resumes the study, whatever ended it.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from nas.api.run_search import run_search
from nas.cli import cli_errors, command
from nas.engine.stage import INTERRUPTED
from nas.space.errors import InputError
from nas.space.load import build_space, read_document
from nas.study.location import shown_url, storage_url

app = command()


@app.command()
def search(
    space: Annotated[Path, typer.Option(help="Search-space file (YAML).")],
    trials: Annotated[int | None, typer.Option(help="Complete trials wanted.")] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Database URL; default: $NAS_STORAGE, or SQLite in the output folder."),
    ] = None,
    study: Annotated[str | None, typer.Option(help="Name of the study.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder; default: runs/STUDY.")] = None,
    cpus_per_trial: Annotated[float | None, typer.Option(help="CPU cores of a trial.")] = None,
    gpus_per_trial: Annotated[
        float | None, typer.Option(help="GPUs of a trial; may be a fraction.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="A running Ray cluster; default: this machine.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the whole study.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Of each trial.")] = None,
    sampler: Annotated[
        str | None, typer.Option(help="tpe, nsga2, nsga3, gp, random or grid.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any value of the file, such as training.epochs=3."),
    ] = None,
    controls: Annotated[
        bool, typer.Option("--controls", help="Add twin arms and a handicapped one to a design.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
) -> None:
    """Search the separability spectrum; the same command again resumes."""
    assignments: dict[str, tuple[tuple[str, ...], object]] = {
        "--trials": (("study", "trials"), trials),
        "--study": (("name",), study),
        "--cpus-per-trial": (("resources", "cpus_per_trial"), cpus_per_trial),
        "--gpus-per-trial": (("resources", "gpus_per_trial"), gpus_per_trial),
        "--seed": (("study", "seed"), seed),
        "--epochs": (("training", "epochs"), epochs),
        "--sampler": (("study", "sampler"), sampler),
        "--controls": (("design", "controls"), controls or None),
    }
    options = {option: given for option, given in assignments.items() if given[1] is not None}
    with cli_errors():
        document = read_document(space, overrides or (), options)
        planned = isinstance(document.value, dict) and document.value.get("design")
        if controls and planned == {"controls": True}:
            hint = "add design: {seeds: 5} to it"
            raise InputError.of("--controls", f"adds arms to a design, and {space} has none", hint)
        command = _this_command(storage)
        try:
            run_search(
                build_space(document),
                output=output,
                storage=storage,
                ray_address=ray_address,
                quiet=quiet,
                command=command,
            )
        except KeyboardInterrupt:
            print(f"resume with: {command}", file=sys.stderr)
            sys.exit(INTERRUPTED)


def _this_command(storage: str | None) -> str:
    """The command of this process, to be run again; without the password of a database."""
    url = shown_url(storage_url(storage, Path())) if storage else ""
    shown = {storage: url, f"--storage={storage}": f"--storage={url}"} if storage else {}
    arguments = (shown.get(argument, argument) for argument in sys.argv[1:])
    return f"python -m nas.search {shlex.join(arguments)}"


if __name__ == "__main__":
    app()
