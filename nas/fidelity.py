"""How far a study's budget can be trusted: ``python -m nas.fidelity --study spectrum``.

Some of the study's architectures are trained for longer, with two seeds each, by the same engine:
the same command again goes on where it was. Cheaper signals are compared with those trainings, too.
"""

from __future__ import annotations

import sys

from nas.engine.signals import end_before_begun, ended_by_requests

if __name__ == "__main__" or sys.argv[0].endswith("nas-fidelity"):
    end_before_begun()  # first: what follows loads for more than a second

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Annotated

import typer
from rich.console import Console

from nas.analysis.fidelity import (
    SLICES,
    Comparison,
    compare_with_longer,
    signals_before_training,
    spread_sample,
)
from nas.cli import (
    NoCacheOption,
    RayOption,
    StallOption,
    StorageOption,
    StudyOption,
    cli_errors,
    command,
    fail,
    tell,
)
from nas.engine import terminal
from nas.engine.leftovers import remove_unfinished
from nas.engine.outcome import SearchFailed, failing_with_the_machine
from nas.engine.ray_failures import RayFailed
from nas.engine.stage import StageRunner
from nas.engine.stall import patience_of
from nas.reporting.fidelity_table import print_fidelity
from nas.space.errors import InputError
from nas.space.load import build_space
from nas.space.yaml_document import Document
from nas.study.design import Arm, Design, design_seeds, role_of
from nas.study.location import StudyPlace, locate_study
from nas.study.records import Records, read_records
from nas.study.shared_weights import slice_scores
from nas.study.storage import quiet_optuna
from nas.study.trained_network import recipe_of
from nas.study.trial_record import TrialRecord
from nas.study.untrained_network import untrained_signals
from trials.atomic_file import atomic_write_text
from trials.data import ImageData

LONG_SEEDS = 2
"""Each architecture has one to be compared with, and a second one for the ceiling."""

GO_ON = "the same command again goes on"

QUIET = "Print the result and errors only."

app = command()


@app.command()
def fidelity(
    study: StudyOption,
    sample: Annotated[
        int, typer.Option(min=3, help="Number of architectures trained longer.")
    ] = 12,
    epochs: Annotated[
        str, typer.Option(help="Epochs of the longer trainings: 40, or 4x the study's.")
    ] = "4x",
    storage: StorageOption = None,
    ray_address: RayOption = None,
    stall: StallOption = "10m",
    no_cache: NoCacheOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", help=QUIET)] = False,
) -> None:
    """Rank agreement between the study's trainings and longer ones, against its ceiling."""
    with cli_errors(), ended_by_requests(GO_ON):
        quiet_optuna()
        place = locate_study(study, storage)
        records = read_records(place.url, place.name, cache=not no_cache)
        chosen = spread_sample(records.complete, sample)
        if len(chosen) < 3:
            raise InputError.of("--study", "rank agreement needs three complete architectures")
        budget = _longer(epochs, records)
        engine = (ray_address, quiet, patience_of(stall, "--stall"))
        try:
            long, data = _train_longer(place, records, chosen, budget, *engine)
        except (RayFailed, SearchFailed) as error:
            raise fail(error, GO_ON, 1) from None
        kept = [
            trial for trial in chosen if len(long.get(trial.architecture.key, {})) == LONG_SEEDS
        ]
        if len(kept) < 3:
            message = "fewer than three architectures have finished their longer trainings"
            raise fail(message, GO_ON, 1)
        found = _compare(place, records, kept, long, data, terminal.console(quiet))
        epochs_of = {"epochs": budget, "study_epochs": _epochs(records)}
        result = asdict(found.fidelity) | {"seconds": found.seconds} | epochs_of
        atomic_write_text(place.folder / "fidelity.json", json.dumps(result, indent=2) + "\n")
        print_fidelity(found, _epochs(records), budget, terminal.console())


def _compare(
    place: StudyPlace,
    records: Records,
    sample: Sequence[TrialRecord],
    long: Mapping[str, Mapping[int, TrialRecord]],
    data: ImageData,
    console: Console,
) -> Comparison:
    """The study's trainings, and what networks say without one, with the longer trainings."""
    shown = terminal.counted(sample, len(sample), "untrained networks", console)
    untrained = signals_before_training(list(untrained_signals(records, shown, data)))
    if records.file.study.warm is not None:
        shown = terminal.counted(sample, len(sample), "slices of the shared network", console)
        scores = slice_scores(records, place.folder, shown, data)
        untrained |= signals_before_training([{SLICES: score} for score in scores])
    return compare_with_longer(place.url, records, sample, long, untrained)


def _longer(text: str, records: Records) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,4})(x?)", text)
    if match is None:
        raise InputError.of("--epochs", f"expected epochs such as 40, or 4x; got {text!r}")
    now = _epochs(records)
    epochs = int(match[1]) * (now if match[2] else 1)
    if epochs <= now:
        raise InputError.of("--epochs", f"the study has {now} epochs already; got {epochs}")
    return epochs


def _epochs(records: Records) -> int:
    return recipe_of(records, records.complete[0]).epochs


def _train_longer(
    place: StudyPlace,
    records: Records,
    chosen: Sequence[TrialRecord],
    epochs: int,
    ray_address: str | None,
    quiet: bool,
    stall_s: float,
) -> tuple[dict[str, dict[int, TrialRecord]], ImageData]:
    """The longer trainings, by architecture and seed, and the images of all."""
    document = Document("the study's search space", dict(records.document))
    document.value["training"] = {**document.value.get("training", {}), "epochs": epochs}
    # The longer trainings have no rungs below them, and begin with weights of their own.
    left_out = ("fidelity", "warm")
    whole = {k: v for k, v in document.value.get("study", {}).items() if k not in left_out}
    document.value["study"] = whole
    space = build_space(document)
    arms = tuple(
        Arm(
            t.arm or f"trial {t.number}", t.architecture, role_of(t.architecture), setting=t.setting
        )
        for t in chosen
    )
    design = Design(arms, design_seeds(place.name, space.file.study.seed, "fidelity", LONG_SEEDS))
    name = f"{place.name}:fidelity-{epochs}"
    runner = StageRunner(space, replace(place, name=name), ray_address, quiet, stall_s=stall_s)
    data = _run_stage(runner, name, design)
    found: dict[str, dict[int, TrialRecord]] = {}
    for trial in read_records(place.url, name).trials:
        if trial.state == "complete" and trial.seeds[0] in design.seeds:
            found.setdefault(trial.architecture.key, {})[trial.seeds[0]] = trial
    return found, data


def _run_stage(runner: StageRunner, name: str, design: Design) -> ImageData:
    with failing_with_the_machine(), runner.lock:
        remove_unfinished(runner.place.folder)
        data = runner.study_data.load()
        with runner.ray, runner.driving(name, data, design) as driver:
            if not driver.finished:
                runner.run(driver, data, keep_weights=False)
            if failure := runner.failure_of(driver):
                tell(f"error: {failure}")
        remove_unfinished(runner.place.folder)  # its workers have ended, some within a file
    return data


if __name__ == "__main__":
    app()
