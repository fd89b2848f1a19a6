"""Train a study's network anew: ``python -m nas.retrain --study spectrum --epochs 60``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from nas.cli import (
    BestOption,
    NoCacheOption,
    StorageOption,
    StudyOption,
    TrialOption,
    cli_errors,
    command,
    fail,
)
from nas.engine import terminal
from nas.network.export import export_network
from nas.reporting.model_card import Trained, model_card, provenance_of
from nas.space.objectives import OBJECTIVES
from nas.space.shown_text import shown_line
from nas.study.location import locate_study
from nas.study.records import read_records
from nas.study.selection import choose
from nas.study.trained_network import recipe_of, train_again
from trials.recipe import RECIPES
from trials.train import Diverged

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
        int | None, typer.Option(min=0, help="Seed of the training; default: the trial's.")
    ] = None,
    no_cache: NoCacheOption = False,
    storage: StorageOption = None,
) -> None:
    """Train one network of a study from scratch and export it."""
    if recipe is not None and recipe not in RECIPES:
        raise fail(f"--recipe is one of {', '.join(RECIPES)}; got {recipe}")
    with cli_errors():
        place = locate_study(study, storage)
        records = read_records(place.url, place.name, cache=not no_cache)
        record = choose(records, best, trial)
        chosen = RECIPES[recipe] if recipe else recipe_of(records, record)
        chosen = replace(chosen, epochs=epochs or chosen.epochs)
        console = terminal.console(stderr=True)
        try:
            with console.status(f"trial {record.number}: {chosen.epochs} epochs"):
                training = train_again(records, record, chosen, seed)
        except Diverged as error:
            raise fail(f"not finite: {error}", "a lower learning rate") from None
        trained = Trained(chosen, training.curve[-1].score)
        export_network(
            record.architecture,
            training.network,
            output,
            provenance_of(records, record, trained),
            partial(model_card, records, record, trained),
        )
        shown = f"{OBJECTIVES[records.score].in_words(trained.score)}, in {shown_line(str(output))}"
        print(f"trial {record.number}, {chosen.epochs} epochs: {shown}")


if __name__ == "__main__":
    app()
