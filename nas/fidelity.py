"""How far a study's budget can be trusted: ``python -m nas.fidelity --study spectrum``.

Some of the study's architectures are trained for longer, with two seeds each, by the same engine:
the same command again goes on where it was.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from nas.cli import cli_errors, command, fail
from nas.engine.lock import DriverLock
from nas.engine.stage import INTERRUPTED, StageRunner
from nas.space.errors import InputError
from nas.space.load import build_space
from nas.space.yaml_document import Document
from nas.statistics.rank_agreement import Agreement, Fidelity, measure_fidelity
from nas.study.design import Arm, Design, design_seeds, role_of
from nas.study.location import StudyPlace, locate_study
from nas.study.records import Records, TrialRecord, quiet_optuna, read_records
from nas.study.trained_network import recipe_of
from trials.atomic_file import atomic_write_text
from trials.measurement import Measurement, TrainingKey
from trials.store import Store

LONG_SEEDS = 2
"""Of each architecture: one to be compared with, a second one for the ceiling."""

app = command()


@app.command()
def fidelity(
    study: Annotated[str, typer.Option(help="Name under runs/, or a study's folder.")],
    sample: Annotated[int, typer.Option(min=3, help="Architectures that are trained longer.")] = 12,
    epochs: Annotated[str, typer.Option(help="Longer budget: 40, or 4x the study's.")] = "4x",
    storage: Annotated[str | None, typer.Option(help="Database URL, or $NAS_STORAGE.")] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="A running Ray cluster; default: this machine.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only the result.")] = False,
) -> None:
    """Rank agreement between the study's trainings and longer ones, against its ceiling."""
    with cli_errors():
        quiet_optuna()
        place = locate_study(study, storage)
        records = read_records(place.url, place.name)
        chosen = spread_sample(records.complete, sample)
        if len(chosen) < 3:
            raise InputError.of("--study", "rank agreement needs three complete architectures")
        budget = _longer(epochs, records)
        try:
            long = _train_longer(place, records, chosen, budget, ray_address, quiet)
        except KeyboardInterrupt:
            print("the same command again goes on", file=sys.stderr)
            sys.exit(INTERRUPTED)
        kept = [
            trial for trial in chosen if len(long.get(trial.architecture.key, {})) == LONG_SEEDS
        ]
        if len(kept) < 3:
            raise fail("fewer than three architectures have finished their longer trainings", "", 1)
        table = [[a for _, a in sorted(long[t.architecture.key].items())] for t in kept]
        found = measure_fidelity(table, _signals(place, records, kept))
        result = asdict(found) | {"epochs": budget, "study_epochs": _epochs(records)}
        atomic_write_text(place.folder / "fidelity.json", json.dumps(result, indent=2) + "\n")
        show(found, _epochs(records), budget, Console(highlight=False))


def spread_sample(complete: Sequence[TrialRecord], count: int) -> list[TrialRecord]:
    """Architectures from the whole range of accuracies, evenly by rank.

    The best alone would be too much alike to be ranked; random ones would leave that to chance.
    """
    ranked = sorted(complete, key=lambda trial: trial.accuracy or 0.0)
    if len(ranked) <= count:
        return ranked
    return [ranked[round(i)] for i in np.linspace(0, len(ranked) - 1, count)]


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
) -> dict[str, dict[int, float]]:
    """Accuracies of the longer trainings, by architecture and seed."""
    document = Document("the study's search space", dict(records.document))
    document.value["training"] = {**document.value.get("training", {}), "epochs": epochs}
    space = build_space(document)
    arms = tuple(
        Arm(t.arm or f"trial {t.number}", t.architecture, role_of(t.architecture)) for t in chosen
    )
    design = Design(arms, design_seeds(place.name, space.file.study.seed, "fidelity", LONG_SEEDS))
    name = f"{place.name}:fidelity-{epochs}"
    runner = StageRunner(space, place, ray_address, quiet)
    with DriverLock(place.url, name):
        data = runner.load_data()
        with runner.driving(name, data, design) as driver:
            if not driver.finished:
                runner.run(driver, data, keep_weights=False)
            if failure := runner.failure_of(driver):
                print(f"error: {failure}", file=sys.stderr)
    found: dict[str, dict[int, float]] = {}
    for trial in read_records(place.url, name).trials:
        if trial.accuracy is not None and trial.seeds[0] in design.seeds:
            found.setdefault(trial.architecture.key, {})[trial.seeds[0]] = trial.accuracy
    return found


def _signals(
    place: StudyPlace, records: Records, kept: Sequence[TrialRecord]
) -> dict[str, list[float]]:
    """What the study's own trainings say of each architecture, by the first seed of each."""
    store = Store(place.url, create=False)
    try:
        measured = [_first_run(store, records, trial) for trial in kept]
    finally:
        store.close()
    epochs = len(measured[0].curve)
    signals = {
        f"accuracy after all {epochs} epochs": [m.accuracy or 0.0 for m in measured],
        "sum of training losses, least first": [-sum(e[0] for e in m.curve) for m in measured],
        "validation loss, least first": [-(m.validation_loss or 0.0) for m in measured],
        "MACs": [float(m.macs) for m in measured],
        "parameters": [float(m.params) for m in measured],
    }
    for after in sorted({1, epochs // 4, epochs // 2} - {0, epochs}):
        said = "the first epoch" if after == 1 else f"{after} epochs"
        signals[f"accuracy after {said}"] = [m.curve[after - 1][2] for m in measured]
    return signals


def _first_run(store: Store, records: Records, trial: TrialRecord) -> Measurement:
    recipe = recipe_of(records, trial)
    key = (trial.architecture.key, records.data.fingerprint, recipe.key, recipe.epochs)
    measurement = store.find(TrainingKey(*key, trial.seeds[0]))
    if measurement is None:
        raise InputError.of("--study", f"the measurement of trial {trial.number} is missing")
    return measurement


def show(found: Fidelity, epochs: int, longer: int, console: Console) -> None:
    """Print a table."""
    if not console.is_terminal:
        console.width = 120  # nothing to fit into: no line is broken
    console.print(
        f"{found.architectures} architectures, {epochs} epochs against {longer}, "
        f"Kendall's tau with 95% intervals over architectures"
    )
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("signal", "tau", "interval", "of the ceiling"):
        table.add_column(heading, justify="left" if heading == "signal" else "right")
    for agreement in (found.ceiling, *found.signals):
        table.add_row(
            agreement.signal,
            f"{agreement.tau:.2f}",
            f"{agreement.lower:.2f} to {agreement.upper:.2f}",
            _share(agreement),
        )
    console.print(table)
    if found.signals[0].of_ceiling is None:
        console.print(
            "The ceiling itself may be zero: these architectures are too much alike, or too few, "
            "for any budget to rank them."
        )


def _share(agreement: Agreement) -> str:
    if agreement.of_ceiling is None or agreement.of_ceiling_interval is None:
        return ""
    low, high = agreement.of_ceiling_interval
    return f"{agreement.of_ceiling:.0%} ({low:.0%} to {high:.0%})"


if __name__ == "__main__":
    app()
