"""What `optuna-dashboard` shows of a study besides its trials: a note and the report's figures."""

from __future__ import annotations

import warnings

import optuna
import optuna_dashboard
import plotly.graph_objects as go
from sqlalchemy.engine import URL

from nas.study.records import Records, opened_study
from nas.study.selection import choose


def publish(url: URL, records: Records, figures: dict[str, go.Figure]) -> None:
    """Put a note and figures into the study's database, replacing earlier ones."""
    with opened_study(url, records.name) as study, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna_dashboard.save_note(study, note(records))
        for name, figure in figures.items():
            optuna_dashboard.save_plotly_graph_object(study, figure, graph_object_id=name)


def note(records: Records) -> str:
    """Markdown for the study's page."""
    lines = [
        f"# {records.name}",
        "Architecture search over the separability spectrum of convolutions.",
        f"{_count(records)}, {len(records.front)} on the front.",
    ]
    if records.complete:
        knee = choose(records)
        latency = f", {knee.latency_in_words}" if knee.latency_ms is not None else ""
        lines.append(
            f"Knee of the front: trial {knee.number}, accuracy {knee.accuracy:.4f}, "
            f"{knee.macs:,} MACs{latency}."
        )
    return "\n\n".join(lines)


def _count(records: Records) -> str:
    trials = sum(trial.state == "complete" for trial in records.trials)
    return f"{trials} complete trials" + (
        f" of {len(records.complete)} arms" if records.arms else ""
    )
