"""Train a study's network anew: ``python -m nas.retrain --study spectrum --epochs 60``.

It is `nas.train` with what the study says; the same command again goes on where it was ended.
"""

from __future__ import annotations

import sys

from nas.engine.signals import end_before_begun

if __name__ == "__main__" or sys.argv[0].endswith("nas-retrain"):
    end_before_begun()  # first: what follows loads for more than a second

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nas.api.train_network import EVERY_S, describe_trial, train_and_export
from nas.cli import (
    BestOption,
    NoCacheOption,
    StorageOption,
    StudyOption,
    TrialOption,
    cli_errors,
    command,
    fail,
    resumable,
)
from nas.engine import terminal
from nas.engine.long_training import job_of_trial
from nas.space.objectives import OBJECTIVES
from nas.space.shown_text import shown_line
from nas.study.location import locate_study
from nas.study.records import read_records
from nas.study.selection import choose
from nas.study.trained_network import recipe_of
from trials.recipe import RECIPES

app = command()


@app.command()
def retrain(
    study: StudyOption,
    output: Annotated[Path, typer.Option(help="Folder of the exported network.")],
    trial: TrialOption = None,
    best: BestOption = "knee",
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs; default: the study's.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help=f"Recipe: {', '.join(RECIPES)}; default: the study's.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**32 - 1, help="Seed of the training; default: the trial's."),
    ] = None,
    no_cache: NoCacheOption = False,
    storage: StorageOption = None,
) -> None:
    """Train one network of a study from scratch and export it; the same command again goes on."""
    if recipe is not None and recipe not in RECIPES:
        raise fail(f"--recipe is one of {', '.join(RECIPES)}; got {recipe}")
    with cli_errors(), resumable("nas.retrain"):
        place = locate_study(study, storage)
        records = read_records(place.url, place.name, cache=not no_cache)
        record = choose(records, best, trial)
        chosen = RECIPES[recipe] if recipe else recipe_of(records, record)
        chosen = replace(chosen, epochs=epochs or chosen.epochs)
        job = job_of_trial(records, record, chosen, seed)
        console = terminal.console(stderr=True)
        trained = train_and_export(
            job, output, describe_trial(records, record), console, EVERY_S, replaces=True
        )
        shown = f"{OBJECTIVES[records.score].in_words(trained.score)}, in {shown_line(str(output))}"
        print(f"trial {record.number}, {chosen.epochs} epochs: {shown}")


if __name__ == "__main__":
    app()
