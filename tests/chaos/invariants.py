"""What has to hold once a study was resumed and has ended, whatever was done to it before."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from math import isclose
from pathlib import Path
from statistics import fmean

import sqlalchemy as sa

import nas
from nas.study.records import Records
from nas.study.stage_names import confirmation_name, tuning_name
from tests.chaos.round import Round
from tests.chaos.training import TRAINED, accuracy_of
from trials.measurement import Measurement
from trials.store import Store

Key = tuple[object, ...]


def violations(played: Round) -> Iterator[str]:
    """What does not hold, in a line each."""
    yield from of_processes_and_files(played)
    with sa.create_engine(played.url, poolclass=sa.NullPool).connect() as connection:
        yield from _of_trials(played, connection)
        if played.database == "sqlite":
            (found,) = connection.execute(sa.text("PRAGMA integrity_check")).one()
            if found != "ok":
                yield f"the database is damaged: {found}"
    store = Store(played.url, create=False)
    measurements = store.all()
    store.close()
    yield from _of_trainings(played, measurements)
    for name in played.names:
        yield from _of_results(played, name, measurements)


def of_processes_and_files(played: Round) -> Iterator[str]:
    """What a search leaves that has ended well."""
    if alive := played.settle():
        yield f"processes are left: {alive}"
    outboxes = [played.folder_of(name) / "outbox" for name in played.names]
    outbox = [path for folder in outboxes for path in folder.rglob("*") if path.is_file()]
    aside = [path for path in outbox if path.suffix == ".bad"]
    if len(aside) > played.trained_again:
        yield f"results were put aside: {_names(aside)}"
    if remain := [path for path in outbox if path not in aside]:
        yield f"the outbox is not empty: {_names(remain)}"
    if partial := list(played.work.rglob("*.partial")):
        yield f"files are left that were not completed: {_names(partial)}"
    temporary = [path for path in (played.folder / "tmp").iterdir() if path.name != "ray"]
    sessions = list((played.folder / "tmp" / "ray").glob("session_20*"))  # the last one's logs
    if len(sessions) > 1 or temporary:
        yield f"temporary files are left: {_names([*temporary, *sessions[1:]])}"


def _of_trials(played: Round, connection: sa.Connection) -> Iterator[str]:
    """Their numbers and states, as the database has them."""
    query = "SELECT study_name, number, state FROM trials JOIN studies USING (study_id)"
    states: dict[str, dict[int, str]] = {}
    rows = connection.execute(sa.text(query)).all()
    for study, number, state in rows:
        states.setdefault(study, {})[number] = state
    if len(rows) != sum(map(len, states.values())):
        yield "two trials have the same number"
    wanted = set(played.names)
    if played.space.has_confirmation:
        wanted |= set(map(confirmation_name, played.names))
    if played.space.has_tuning:
        wanted |= set(map(tuning_name, played.names))
    if states.keys() != wanted:
        yield f"there are the studies {sorted(states)}, not {sorted(wanted)}"
    for study, of_trial in states.items():
        if sorted(of_trial) != list(range(len(of_trial))):
            yield f"the trials of {study} are numbered {sorted(of_trial)}"
        if unfinished := {n: s for n, s in of_trial.items() if s in ("RUNNING", "WAITING")}:
            yield f"trials of {study} have not ended: {unfinished}"
    for name in played.names:
        complete = sum(state == "COMPLETE" for state in states.get(name, {}).values())
        if complete != (played.space.complete or complete) or not complete:
            yield f"{complete} trials of {name} are complete of {played.space.complete}"


def _of_trainings(played: Round, measurements: Iterable[Measurement]) -> Iterator[str]:
    """Against the ledger, which has what was trained."""
    finished = _noted(played.ledger)
    trained = _noted(played.ledger.with_suffix(TRAINED))  # a driver may die before it has finished
    stored = {tuple(measurement.training) for measurement in measurements}
    if invented := stored - trained.keys():
        yield f"in the database, and never trained: {sorted(invented)}"
    if lost := finished.keys() - stored:
        yield f"finished, and not in the database: {sorted(lost)}"
    again = sum(count - 1 for count in finished.values())
    if again > played.trained_again:
        yield f"trained again: {[key for key, count in finished.items() if count > 1]}"
    for measurement in measurements:
        given = accuracy_of(measurement.architecture_key, measurement.seed)
        if measurement.state == "complete" and measurement.accuracy != given:
            yield f"a measurement is not what its training gave: {measurement}"


def _noted(ledger: Path) -> Counter[Key]:
    """How often each training is in a file."""
    noted: Counter[Key] = Counter()
    if ledger.exists():
        for line in ledger.read_text().splitlines():
            noted.update(tuple(training) for training in json.loads(line))
    return noted


def _of_results(played: Round, name: str, measurements: Iterable[Measurement]) -> Iterator[str]:
    """What a user loads."""
    study = nas.load_study(played.folder_of(name), played.storage)
    records, table = study.records, study.dataframe()
    if len(table) != len(study.trials):
        yield f"the table has {len(table)} trials of {len(study.trials)}"
    accuracies = {m.training: m.accuracy for m in measurements}
    known = {(key.architecture, key.epochs, key.seed): a for key, a in accuracies.items()}
    yield from _of_values(records, known)
    for stage in (records.tuning, records.confirmation):
        if stage is not None:
            yield from _of_values(stage, known)
    if played.has_results:
        yield from _of_files(played.folder_of(name), records)


def _of_values(records: Records, known: dict[Key, float | None]) -> Iterator[str]:
    """Each value of a trial is that of its trainings."""
    tried = Counter((t.architecture.key, t.arm, t.seeds) for t in records.trials)
    if twice := [key for key, count in tried.items() if count > 1]:
        yield f"tried twice in {records.name}: {twice}"
    last = records.file.training.full_recipe.epochs
    for trial in records.trials:
        epochs = {result.epochs: result.values for result in trial.rungs}
        if trial.state == "complete":
            epochs[last] = trial.values
        for count, values in epochs.items():
            found = [known.get((trial.architecture.key, count, seed)) for seed in trial.seeds]
            if None in found:
                yield f"trial {trial.number} of {records.name} has no measurement at {count} epochs"
            elif not isclose(fmean(found), values[0]):
                yield f"trial {trial.number} of {records.name} has {values[0]}, not {fmean(found)}"


def _of_files(folder: Path, records: Records) -> Iterator[str]:
    with (folder / "front.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    if len(rows) != len(records.front):
        yield f"front.csv has {len(rows)} trials of {len(records.front)}"
    if not (folder / "report.html").read_text().rstrip().endswith("</html>"):
        yield "report.html ends before its end"
    for name in ("model.py", "weights.safetensors", "architecture.json"):
        if not (folder / "best" / name).is_file():
            yield f"best/{name} is not there"


def _names(paths: Iterable[object]) -> str:
    return ", ".join(map(str, paths))
