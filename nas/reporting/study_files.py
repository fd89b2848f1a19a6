"""Everything that a search leaves in its folder once it has results."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from nas.analysis.rungs import rungs_of
from nas.engine.fence import Fence
from nas.reporting.answer_text import headline
from nas.reporting.dashboard import publish
from nas.reporting.export_trial import export_trial
from nas.reporting.figures.files import NO_RENDERER, write_study_images
from nas.reporting.front_text import sureness_in_words
from nas.reporting.page import report_study
from nas.reporting.references import references_in_words
from nas.reporting.rungs import rungs_in_words
from nas.space.objectives import OBJECTIVES
from nas.space.quantities import format_count
from nas.study.location import StudyPlace
from nas.study.records import Records, read_records
from nas.study.selection import choose, knee_in_words
from nas.study.storage_url import shown_url
from nas.study.trained_network import samples_of
from nas.study.trial_record import TrialRecord
from trials.data import ImageData
from trials.failpoint import failpoint


def write_study_files(
    place: StudyPlace, data: ImageData, say: Callable[[str], None], fence: Fence
) -> None:
    """Export the knee, write the report, and publish its figures behind the driver's fence."""
    records = read_records(place.url, place.name)
    best = choose(records)
    folder = place.folder / "best"
    failure: Exception | None = None
    try:
        export_trial(records, best, place.folder, folder, say, samples=samples_of(data))
    except Exception as error:
        failure = error
    try:
        failpoint("results.exported")
        report = report_study(
            place, records
        )  # after it: it shows what that network takes images for
        failpoint("results.reported")
        publish(place.url, records, report.figures, fence)
    except Exception as error:
        if failure is not None:
            error.add_note(f"nor could the best network be exported: {failure}")
        raise
    if failure is not None:
        raise failure
    say(
        f"{_found(records, best)}, is in\n{folder}\n"
        f"report:\n{place.folder / 'report.html'}\n"
        f"dashboard:\n{shlex.join(['optuna-dashboard', shown_url(place.url)])}"
    )
    for line in sureness_in_words(records):
        say(line)
    for line in references_in_words(records):
        say(line)
    for line in rungs_in_words(rungs_of(records)):
        say(line)
    if report.answer is not None:
        say(headline(report.answer))
        if not write_study_images(report.figures, place.folder / "figures"):
            say(NO_RENDERER)


def _found(records: Records, best: TrialRecord) -> str:
    """How large the front is, and its knee; of a race the best arm."""
    score = OBJECTIVES[records.score].in_words(best.score)
    latency = f" and {best.latency_in_words}" if best.latency_ms is not None else ""
    seeds = {len(trial.seeds) for trial in records.front} if records.confirmed else ()
    fresh = "".join(f" by the means of {count} fresh seeds" for count in seeds)
    cost = f"{score} at {format_count(best.macs)} MACs{latency}"
    if records.raced:
        seeds_of_arm = f"{best.arm} with {cost} by {len(best.seeds)} seeds"
        return f"{knee_in_words(records)}, {seeds_of_arm}; the first of them, trial {best.number}"
    return f"front of {len(records.front)}{fresh}; its knee, trial {best.number} with {cost}"
