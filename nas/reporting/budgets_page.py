"""A study of several budgets as one HTML page: each by itself, then what its arms show at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from nas.analysis.budgets import BudgetsAnswer, answer_budgets, read_budgets
from nas.reporting import answer_text
from nas.reporting.budgets_text import across_table, claims_in_words, headlines
from nas.reporting.figures.budgets import budgets_info, plot_budgets
from nas.reporting.figures.files import NO_RENDERER, write_study_images
from nas.reporting.page import figure_html
from nas.reporting.rendering import render_html
from nas.space.objectives import OBJECTIVES
from nas.space.yaml_document import dump_yaml
from nas.study.location import StudyPlace
from nas.study.records import Records, read_records
from trials.atomic_file import atomic_write_text


@dataclass(frozen=True)
class BudgetsReport:
    """What a report of several budgets was written of."""

    answer: BudgetsAnswer
    figures: dict[str, go.Figure]


@dataclass(frozen=True)
class _Section:
    """What the page shows of one budget."""

    title: str
    page: str
    headline: str = ""
    outcome: str = ""
    facts: tuple[tuple[str, str], ...] = ()


def report_budgets(
    place: StudyPlace, records: Records | None = None, folder: Path | None = None
) -> BudgetsReport:
    """Read a study of several budgets and write its ``report.html``.

    Args:
        records: of the study, where they have been read.
        folder: that is written to, in place of the study's.

    Raises:
        NoStudy: its database has none of its name.
        NoVerdict: no budget has a complete training.
    """
    records = records or read_records(place.url, place.name)
    found = answer_budgets(read_budgets(place, records))
    figures = budgets_figures(found)
    output = folder or place.folder
    output.mkdir(parents=True, exist_ok=True)
    page = render_html(
        "budgets.html.j2",
        name=found.study,
        plotly_js=Markup(get_plotlyjs()),
        claims=claims_in_words(found),
        budgets=tuple(_sections(found)),
        across=across_table(found),
        figures=[figure_html(name, figure) for name, figure in figures.items()],
        space=dump_yaml(records.document),
    )
    atomic_write_text(output / "report.html", page)
    return BudgetsReport(found, figures)


def budgets_figures(found: BudgetsAnswer) -> dict[str, go.Figure]:
    """The figure of all budgets; none before a difference is known."""
    return {"budgets": plot_budgets(budgets_info(found))} if found.arms else {}


def write_budgets_files(place: StudyPlace, say: Callable[[str], None]) -> None:
    """What a study of several budgets leaves in its folder, beside those of the budgets."""
    report = report_budgets(place)
    say(f"all budgets:\n{place.folder / 'report.html'}")
    for line in headlines(report.answer):
        say(line)
    if not write_study_images(report.figures, place.folder / "figures"):
        say(NO_RENDERER)


def _sections(found: BudgetsAnswer) -> Iterator[_Section]:
    unit = OBJECTIVES[found.cost].unit
    for one in found.budgets:
        title, page = f"{one.budget} {unit}", f"{one.budget}/report.html"
        if one.answer is None:
            yield _Section(title, page)
            continue
        facts = tuple(answer_text.facts(one.answer))
        yield _Section(title, page, answer_text.headline(one.answer), one.answer.outcome, facts)
