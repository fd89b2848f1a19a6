"""A study as one HTML page that needs no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go
import plotly.io
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from nas.analysis.answer import AnyAnswer, answer_of
from nas.analysis.confirmed_front import ConfirmedFront
from nas.analysis.published import write_results
from nas.analysis.results import StudyResults, read_results
from nas.analysis.rungs import doubts, rungs_of
from nas.architecture.drawing import draw_architecture
from nas.network.confusion_file import read_confusion
from nas.reporting import answer_text
from nas.reporting.answer_table import AnswerTable
from nas.reporting.answer_tables import answer_tables
from nas.reporting.figures import ConfusionInfo, arm_figures, study_figures
from nas.reporting.front_csv import front_csv
from nas.reporting.front_text import front_table, unconfirmed_in_words
from nas.reporting.references import references_table
from nas.reporting.rendering import render_html
from nas.reporting.rungs import rungs_table
from nas.space.errors import InputError
from nas.space.objectives import OBJECTIVES
from nas.space.shown_text import shown_line
from nas.space.yaml_document import dump_yaml
from nas.study.importances import Importance, parameter_importances
from nas.study.location import StudyPlace
from nas.study.records import Records, read_records
from nas.study.selection import choose, knee_in_words
from nas.study.trial_record import State, TrialRecord
from trials.atomic_file import atomic_write_text
from trials.bounded_json import JsonError, read_json, shortened

MOST_DRAWINGS = 20
"""Of the front, cheapest first: a page of hundreds would be read by nobody."""

NOTES = {
    "importance": (
        "Each bar is the share of the variance of what is maximized that a choice explains by "
        "itself (fANOVA), of choices that every trial has; the lines are 95% intervals over the "
        "trials drawn again, each time with another forest, made longer where they would not "
        "reach the bar's end. Choices of segments that make the same network count as one. "
        "Optuna's dashboard shows another measure (PED-ANOVA): what tells the best tenth of the "
        "trials from all others, for each objective, without intervals, controls included and "
        "such choices counted as different. So its bars differ."
    ),
    "latency": (
        "Medians as nas-latency measured them, with the quartiles; the colour is the channels of "
        "a segment, geometric mean over the convolutions of the blocks: few at the depthwise end, "
        "many at the regular one."
    ),
}
"""Under a figure, by its name."""

_OTHER_STATES: dict[State, str] = {
    "pruned": "not promoted",
    "rejected": "too slow to be trained",
    "waiting": "to be trained yet",
    "running": "in training",
}
"""Of trials, beside those that are complete or have failed."""


@dataclass(frozen=True)
class Report:
    """What a report was written of.

    Attributes:
        answer: None of a study that asks nothing, or cannot be answered.
        figures: by name.
    """

    records: Records
    answer: AnyAnswer | None
    figures: dict[str, go.Figure]


def report_study(
    place: StudyPlace, records: Records | None = None, folder: Path | None = None
) -> Report:
    """Read a study and write its report.

    Args:
        records: of the study, where they have been read.
        folder: that is written to, in place of the study's.

    Raises:
        NoStudy: its database has none of its name.
    """
    records = records or read_records(place.url, place.name)
    results = read_results(place.url, place.name, records)
    importances = parameter_importances(place.url, place.name)
    return write_report(records, results, importances, place.folder, folder)


def write_report(
    records: Records,
    results: StudyResults,
    importances: Sequence[Importance],
    folder: Path,
    output: Path | None = None,
) -> Report:
    """Write ``report.html``, ``front.csv`` and the results.

    Args:
        folder: of the study.
        output: that is written to, in place of it.
    """
    environment = _environment(folder / "environment.json")
    confusion = _confusion_of_knee(records, folder / "best")
    drawn = arm_figures(results) | study_figures(records, importances, results, confusion)
    report = Report(records, answer_of(results), drawn)
    beside = references_table(records, results)
    page = render(records, drawn, environment, report.answer, beside)
    output = output or folder
    output.mkdir(parents=True, exist_ok=True)
    atomic_write_text(output / "report.html", page)
    atomic_write_text(output / "front.csv", front_csv(records))
    write_results(results, output)
    return report


def render(
    records: Records,
    drawn: Mapping[str, go.Figure],
    environment: Mapping[str, object],
    found: AnyAnswer | None = None,
    references: AnswerTable | None = None,
) -> str:
    """The page.

    Args:
        references: what a search is shown beside.
    """
    rungs = rungs_of(records)
    return render_html(
        "report.html.j2",
        name=records.name,
        plotly_js=Markup(get_plotlyjs()),
        headline=answer_text.headline(found) if found else "",
        outcome=found.outcome if found else "none",
        facts=answer_text.facts(found) if found else (),
        tables=answer_tables(found) if found else (),
        summary=_summary(records),
        rungs=rungs_table(rungs) if rungs else None,
        doubts=list(doubts(rungs)),
        front=front_table(records, ConfirmedFront.of(records)),
        unconfirmed=unconfirmed_in_words(records),
        references=references,
        figures=[
            (figure_html(name, figure), NOTES.get(name, "")) for name, figure in drawn.items()
        ],
        drawings=[
            (trial.number, _in_short(records, trial), Markup(draw_architecture(trial.architecture)))
            for trial in records.front[:MOST_DRAWINGS]
        ],
        space=dump_yaml(records.document),
        environment=dump_yaml(dict(environment)),
    )


def _environment(file: Path) -> dict[str, object]:
    """Where the study ran; nothing where that was not kept.

    Raises:
        InputError: the file has something else, or cannot be read.
    """
    hint = "restore it, or remove it: the report is then without it"
    try:
        found: object = read_json(file) if file.is_file() else {}
        if not isinstance(found, dict):
            raise JsonError(f"expected an object; got {shortened(found)}")
    except OSError as error:
        raise InputError.of(str(file), f"cannot be read: {error.strerror}", hint) from None
    except JsonError as error:
        raise InputError.of(str(file), shown_line(str(error)), hint) from None
    return found


def _confusion_of_knee(records: Records, exported: Path) -> ConfusionInfo | None:
    """What a search has kept of the knee; None where it is of another network by now."""
    kept = read_confusion(exported)
    if kept is None or not records.complete:
        return None
    knee = choose(records)
    if kept.architecture != knee.architecture.key:
        return None
    return ConfusionInfo(knee.number, kept.classes, kept.counts)


def figure_html(name: str, figure: go.Figure) -> Markup:
    """A figure as a part of a page that has Plotly's script."""
    return Markup(
        plotly.io.to_html(
            figure,
            full_html=False,
            include_plotlyjs=False,
            div_id=name,
            config={"displaylogo": False, "responsive": True},
        )
    )


def _summary(records: Records) -> Iterator[tuple[str, str]]:
    states = Counter(trial.state for trial in records.trials)
    train, validation = records.data.images
    counted = [f"{states['complete']} complete", f"{states['failed']} failed"]
    counted += [f"{states[state]} {said}" for state, said in _OTHER_STATES.items() if states[state]]
    yield "trials", ", ".join(counted)
    yield "images", f"{train:,} to train, {validation:,} to validate"
    if records.data.majority is not None:
        yield "most frequent class", f"{records.data.majority:.4f} of the images to validate"
    yield "objectives", ", ".join(records.objectives)
    if records.complete:
        best = "most accurate" if records.score == "accuracy" else f"best {_noun(records.score)}"
        yield best, _in_short(records, choose(records, records.score))
        if (goal := records.objectives[0]) != records.score:
            yield f"best {_noun(goal)}", _in_short(records, choose(records, goal))
        yield knee_in_words(records), _in_short(records, choose(records, "knee"))
    failed = [trial for trial in records.trials if trial.state == "failed"]
    yield from (("failed", f"trial {trial.number}: {trial.reason}") for trial in failed[:5])


def _noun(objective: str) -> str:
    return OBJECTIVES[objective].noun


def _in_short(records: Records, trial: TrialRecord) -> str:
    name = f"{trial.arm} (trial {trial.number})" if trial.arm else f"trial {trial.number}"
    accuracy, *costs = (
        OBJECTIVES[objective].in_words(records.value(trial, objective))
        for objective in dict.fromkeys((records.score, "macs", *records.objectives))
    )
    return f"{name}: {accuracy} at {' and '.join(costs)}"
