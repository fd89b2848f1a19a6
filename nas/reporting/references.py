"""References in words and as a table: published networks that a search is shown beside."""

from __future__ import annotations

from collections.abc import Iterator

from nas.analysis.reference_rows import reference_rows
from nas.analysis.results import StudyResults
from nas.reporting.answer_table import AnswerTable
from nas.reporting.speed_table import speed_table
from nas.space.objectives import OBJECTIVES
from nas.space.quantities import format_count
from nas.study.records import Records

_NOTE = (
    " References are published networks at the front's median MACs, trained by the same recipe "
    "after the search; they are on no front, and no part of importances or a verdict."
)


def references_table(records: Records, results: StudyResults) -> AnswerTable | None:
    """The front and the references; None where there are none."""
    rows = reference_rows(records, results)
    if not rows:
        return None
    table = speed_table(rows, records.score)
    heads = ("", *table.heads[1:])
    return AnswerTable("The front and the references", heads, table.rows, table.note + _NOTE)


def references_in_words(records: Records) -> Iterator[str]:
    """A line for each reference."""
    for trial in records.references.published if records.references else ():
        score, seeds = OBJECTIVES[records.score].in_words(trial.score), len(trial.seeds)
        over = f", mean of {seeds} seeds" if seeds > 1 else ""
        yield f"reference {trial.arm}: {score} at {format_count(trial.macs)} MACs{over}"
