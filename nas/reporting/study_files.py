"""Everything that a search leaves in its folder once it has results."""

from __future__ import annotations

from collections.abc import Callable

from nas.reporting.answer_text import headline
from nas.reporting.dashboard import publish
from nas.reporting.export_trial import export_trial
from nas.reporting.figures.files import NO_RENDERER, write_images
from nas.reporting.page import report_study
from nas.space.quantities import format_count
from nas.study.location import StudyPlace, shown_url
from nas.study.selection import choose


def write_study_files(place: StudyPlace, say: Callable[[str], None]) -> None:
    """Write the report, publish its figures in the dashboard, and export the knee."""
    report = report_study(place)
    records = report.records
    publish(place.url, records, report.figures)
    best = choose(records)
    export_trial(records, best, place.folder, place.folder / "best", say)
    latency = f" and {best.latency_in_words}" if best.latency_ms is not None else ""
    say(
        f"front of {len(records.front)}; its knee, trial {best.number} with accuracy "
        f"{best.accuracy:.4f} at {format_count(best.macs)} MACs{latency}, is in "
        f"{place.folder / 'best'}\n"
        f"report: {place.folder / 'report.html'}\n"
        f"dashboard: optuna-dashboard {shown_url(place.url)}"
    )
    if report.answer is not None:
        say(headline(report.answer))
        if not write_images(report.figures, place.folder / "figures"):
            say(NO_RENDERER)
