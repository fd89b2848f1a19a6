"""A study as one HTML page that needs no network."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Iterable
from pathlib import Path

import plotly.graph_objects as go
import plotly.io
from plotly.offline import get_plotlyjs

from nas.analysis.answer import Answer, NoVerdict, answer
from nas.analysis.results import StudyResults, write_results
from nas.architecture.description import describe_architecture
from nas.reporting import answer_text, figures
from nas.space.quantities import format_count
from nas.space.yaml_document import dump_yaml
from nas.study.records import (
    Records,
    TrialRecord,
)
from nas.study.selection import choose
from trials.atomic_file import atomic_write_text


def write_report(
    records: Records,
    importances: dict[str, float],
    results: StudyResults,
    found: Answer | None,
    folder: Path,
) -> dict[str, go.Figure]:
    """Write ``report.html``, ``front.csv`` and the results; returns the figures by name."""
    environment = {}
    if (folder / "environment.json").is_file():
        environment = json.loads((folder / "environment.json").read_text())
    drawn = arm_figures(results) | study_figures(records, importances)
    page = render(records, drawn, environment, found)
    atomic_write_text(folder / "report.html", page)
    atomic_write_text(folder / "front.csv", front_table(records))
    write_results(results, folder)
    return drawn


def answer_of(results: StudyResults) -> Answer | None:
    """The answer of a study that asked the question; None of a plain search."""
    if results.file.design is None and results.file.confirm is None:
        return None
    try:
        return answer(results)
    except NoVerdict:
        return None


def arm_figures(results: StudyResults) -> dict[str, go.Figure]:
    """The figures of arms and seeds, by name; none of a plain search."""
    if results.file.design is None and not results.of_stage("confirmation"):
        return {}
    drawn = {"spectrum": figures.plot_spectrum(figures.spectrum_info(results))}
    attainment = figures.attainment_info(results)
    if attainment is not None:
        drawn["attainment"] = figures.plot_attainment(attainment)
    if results.file.design is not None:
        drawn["arms"] = figures.plot_arm_curves(figures.arm_curves_info(results))
        for axis in figures.AXES:
            ablation = figures.ablation_info(results, axis)
            if ablation is not None:
                drawn[axis] = figures.plot_ablation(ablation)
        widths = figures.widths_info(results)
        if widths is not None:
            drawn["widths"] = figures.plot_widths(widths)
    return drawn


def study_figures(records: Records, importances: dict[str, float]) -> dict[str, go.Figure]:
    """The figures of a study, by name."""
    return {
        "front": figures.plot_front(figures.front_info(records)),
        "hypervolume": figures.plot_hypervolume(figures.hypervolume_info(records)),
        "segments": figures.plot_segments(figures.segments_info(records)),
        "importance": figures.plot_importance(figures.importance_info(importances)),
        "curves": figures.plot_curves(figures.curves_info(records)),
    }


def front_table(records: Records) -> str:
    """The front as CSV, cheapest first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["trial", "accuracy", "macs", "params", "latency_ms", "seconds", "key", "architecture"]
    )
    for trial in records.front:
        architecture = trial.architecture
        writer.writerow(
            [
                trial.number,
                trial.accuracy,
                trial.macs,
                trial.params,
                "" if trial.latency_ms is None else trial.latency_ms,
                round(trial.seconds, 3),
                architecture.key,
                architecture.to_json(),
            ]
        )
    return out.getvalue()


def render(
    records: Records,
    drawn: dict[str, go.Figure],
    environment: dict[str, object],
    found: Answer | None = None,
) -> str:
    """The page."""
    plots = "\n".join(
        plotly.io.to_html(
            figure,
            full_html=False,
            include_plotlyjs=False,
            div_id=name,
            config={"displaylogo": False, "responsive": True},
        )
        for name, figure in drawn.items()
    )
    name = html.escape(records.name)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}: architecture search</title>
<style>{_STYLE}</style>
<script>{get_plotlyjs()}</script>
</head>
<body>
<h1>{name}</h1>
{_answer(found) if found else ""}
<h2>The study</h2>
{_summary(records)}
<h2>The front</h2>
{_front(records)}
{plots}
<h2>The search space, as searched</h2>
<pre>{html.escape(dump_yaml(records.document))}</pre>
<h2>Where it ran</h2>
<pre>{html.escape(dump_yaml(environment))}</pre>
</body>
</html>
"""


def _answer(found: Answer) -> str:
    """The verdict in a box, what it rests on, and the arms."""
    outcome = found.verdict.outcome if found.verdict else "none"
    parts = [
        f'<div class="verdict {outcome}"><p>{html.escape(answer_text.headline(found))}</p>',
        _table(None, answer_text.facts(found)),
        "</div><h2>The arms</h2>",
        "<p>Accuracies in percent: mean ± standard deviation (seeds). The test split was read by "
        "the confirmation alone.</p>",
        _table(*answer_text.arms_table(found), "numbers"),
        "<h2>Size and speed</h2>",
        _table(*answer_text.speed_table(found.rows), "numbers"),
    ]
    if found.controls:
        controls = _table(*answer_text.controls_table(found.controls), "numbers")
        parts += ["<h2>Controls</h2>", controls]
    return "".join(parts)


def _summary(records: Records) -> str:
    states = [trial.state for trial in records.trials]
    train, validation = records.data.images
    rows = [
        ("trials", f"{states.count('complete')} complete, {states.count('failed')} failed"),
        ("images", f"{train:,} to train, {validation:,} to validate"),
        ("objectives", ", ".join(records.objectives)),
    ]
    if records.complete:
        best, knee = choose(records, "accuracy"), choose(records, "knee")
        rows += [("most accurate", _in_short(best)), ("knee of the front", _in_short(knee))]
    failed = [t for t in records.trials if t.state == "failed"]
    rows += [("failed", f"trial {t.number}: {t.reason}") for t in failed[:5]]
    return _table(None, rows)


def _in_short(trial: TrialRecord) -> str:
    accuracy = trial.accuracy or 0.0
    name = f"{trial.arm} (trial {trial.number})" if trial.arm else f"trial {trial.number}"
    latency = "" if trial.latency_ms is None else f" and {trial.latency_ms:.3g} ms"
    macs = format_count(trial.macs)
    return f"{name}: accuracy {accuracy:.4f} at {macs} MACs{latency}"


def _front(records: Records) -> str:
    columns = {
        "trial": [str(trial.number) for trial in records.front],
        "accuracy": [f"{trial.accuracy:.4f}" for trial in records.front],
        "MACs": [f"{trial.macs:,}" for trial in records.front],
        "parameters": [f"{trial.params:,}" for trial in records.front],
    }
    if "latency_ms" in records.objectives:
        columns["latency, ms"] = [f"{trial.latency_ms:.3g}" for trial in records.front]
    columns["architecture"] = [
        "\n".join(describe_architecture(trial.architecture)) for trial in records.front
    ]
    return _table(list(columns), zip(*columns.values(), strict=True))


def _table(heads: list[str] | None, rows: Iterable[tuple[str, ...]], kind: str = "words") -> str:
    def row(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

    head = row(heads, "th") if heads else ""
    return f"<table class={kind!r}>{head}{''.join(row(cells, 'td') for cells in rows)}</table>"


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #24292f; max-width: 1080px;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: 13px; }
td, th { padding: .25rem .7rem .25rem 0; text-align: left; vertical-align: top;
         border-bottom: 1px solid #edf0f3; white-space: pre-line; }
.verdict { border: 1px solid #d0d7de; border-left: 6px solid #7f7f7f; border-radius: 6px;
           padding: .3rem 1rem .8rem; margin: 1rem 0; }
.verdict p { font-size: 1.1rem; font-weight: 600; margin: .6rem 0; }
.verdict.supported { border-left-color: #009e73; } .verdict.refuted { border-left-color: #d55e00; }
table.numbers td { white-space: nowrap; }
pre { background: #f6f8fa; padding: 1rem; overflow-x: auto; font-size: 12px; }
.plotly-graph-div { margin-top: 1.5rem; }
"""
