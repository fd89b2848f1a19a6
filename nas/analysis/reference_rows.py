"""The front of a search beside the published networks that it is compared with."""

from __future__ import annotations

from collections.abc import Iterator

from nas.analysis.results import ArmRun, StudyResults
from nas.analysis.speed import SpeedRow, speed_row
from nas.study.records import Records
from trials.measurement import Measurement


def reference_rows(records: Records, results: StudyResults) -> list[SpeedRow]:
    """A row for each point of the front, then for each reference; none where there are none."""
    references = list(_references(results))
    return [*_front(records, results), *references] if references else []


def _references(results: StudyResults) -> Iterator[SpeedRow]:
    runs: dict[str, list[ArmRun]] = {}
    for run in results.references:
        if run.is_complete:
            runs.setdefault(run.arm, []).append(run)
    for name, of_network in runs.items():
        yield _row(name, [run.measurement for run in of_network], results)


def _front(records: Records, results: StudyResults) -> Iterator[SpeedRow]:
    """By fresh seeds, where the front is confirmed."""
    stage = results.of_stage("confirmation" if records.confirmed else results.first_stage)
    for trial in records.front:
        name = f"trial {trial.number}"
        if name in stage:
            yield _row(name, list(stage[name].values()), results)


def _row(name: str, measured: list[Measurement], results: StudyResults) -> SpeedRow:
    scores = [m.score for m in measured if m.score is not None]
    batch = results.file.training.full_recipe.batch_size
    return speed_row(name, measured[0], scores, measured, measured, batch)
