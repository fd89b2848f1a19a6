"""What `optuna-dashboard` shows of a study besides its trials: a note and the report's figures."""

from __future__ import annotations

import warnings
from collections.abc import Collection

import optuna
import optuna_dashboard
import plotly.graph_objects as go
from optuna.trial import TrialState
from optuna_dashboard._custom_plot_data import SYSTEM_ATTR_PLOT_DATA
from optuna_dashboard._note import note_ver_key, split_body
from sqlalchemy.engine import URL

from nas.architecture.text_drawing import draw_as_text
from nas.engine.optuna_storage import add_study_attributes, remove_study_attributes
from nas.reporting.figures.catalogue import NAMES
from nas.space.objectives import OBJECTIVES
from nas.study.records import Records
from nas.study.selection import choose
from nas.study.storage import opened_study
from nas.study.trial_record import TrialRecord
from nas.study.trial_rows import trial_ids

MOST_NOTES = 100
"""Trials with a note: the front, then the best. The dashboard reads all of them every time."""


def publish(url: URL, records: Records, figures: dict[str, go.Figure]) -> None:
    """Put a note and figures into the study's database, replacing earlier ones."""
    with opened_study(url, records.name, write=True) as study, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna_dashboard.save_note(study, note(records))
        for name, figure in figures.items():
            optuna_dashboard.save_plotly_graph_object(study, figure, graph_object_id=name)
        _remove_other_figures(study, figures)
        _publish_trial_notes(study, records)


def _remove_other_figures(study: optuna.Study, figures: Collection[str]) -> None:
    """Those of ours that are not drawn any more, such as a confusion of another network."""
    there = study._storage.get_study_system_attrs(study._study_id)
    stale = tuple(f"{SYSTEM_ATTR_PLOT_DATA}{name}:" for name in NAMES if name not in figures)
    remove_study_attributes(study, [key for key in there if key.startswith(stale)])


def _publish_trial_notes(study: optuna.Study, records: Records) -> None:
    """A drawing with each trial that has no note yet: somebody may have written one.

    Pictures are no part of a note: the dashboard drops SVG and data URLs of Markdown, and shows
    artifacts only of a store that it was started with.
    """
    there = study._storage.get_study_system_attrs(study._study_id)
    ids = trial_ids(study, [TrialState.COMPLETE])
    best = sorted(records.complete, key=lambda trial: -trial.values[0])
    noted = list({trial.number: trial for trial in (*records.front, *best)}.values())
    notes: dict[str, object] = {}
    for trial in noted[:MOST_NOTES]:
        trial_id = ids[trial.number]
        if note_ver_key(trial_id) not in there:
            notes |= {note_ver_key(trial_id): 1}
            notes |= split_body(trial_note(records, trial), trial_id)
    add_study_attributes(study, notes)


def trial_note(records: Records, trial: TrialRecord) -> str:
    """Markdown for a trial's page: what it costs, and its network in letters."""
    names = dict.fromkeys((records.score, "macs", "params", *records.objectives))
    values = ", ".join(OBJECTIVES[name].in_words(records.value(trial, name)) for name in names)
    return f"{values}\n\n```\n{draw_as_text(trial.architecture)}\n```\n"


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
            f"Knee of the front: trial {knee.number}, "
            f"{OBJECTIVES[records.score].in_words(knee.score)}, "
            f"{knee.macs:,} MACs{latency}."
        )
    goal = OBJECTIVES[records.objectives[0]].noun
    lines.append(
        f"The dashboard's own *Pareto Front* has the {goal} along x; the figure *against cost* "
        "below has it along y. Its *Hyperparameter Importance* is PED-ANOVA, what tells the best "
        "tenth of the trials from all others; *Importance of each choice* is fANOVA, the share of "
        "variance."
    )
    return "\n\n".join(lines)


def _count(records: Records) -> str:
    trials = sum(trial.state == "complete" for trial in records.trials)
    return f"{trials} complete trials" + (
        f" of {len(records.complete)} arms" if records.arms else ""
    )
