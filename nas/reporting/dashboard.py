"""What `optuna-dashboard` shows of a study besides its trials: a note and the report's figures."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna.trial import TrialState
from optuna_dashboard._custom_plot_data import SYSTEM_ATTR_PLOT_DATA, split_plot_data
from optuna_dashboard._note import note_str_key_prefix, note_ver_key, split_body
from sqlalchemy.engine import URL

from nas.architecture.text_drawing import draw_as_text
from nas.engine.fence import Fence
from nas.engine.optuna_storage import StudyTrials
from nas.reporting.figures.catalogue import NAMES
from nas.space.objectives import OBJECTIVES
from nas.study.records import Records
from nas.study.selection import choose, knee_in_words
from nas.study.storage import load_optuna_study, opened_storage
from nas.study.trial_record import TrialRecord
from nas.study.trial_rows import trial_ids

MOST_NOTES = 100
"""Trials with a note: the front, then the best. The dashboard reads all of them every time."""


def publish(url: URL, records: Records, figures: dict[str, go.Figure], fence: Fence) -> None:
    """Put a note and figures into the study's database, in place of earlier ones, at once.

    Args:
        fence: of the driver that found the results.

    Raises:
        DriverReplaced: another driver has claimed the study since.
    """
    with opened_storage(url, write=True) as storage:
        study = load_optuna_study(storage, records.name)
        there: dict[str, Any] = storage.get_study_system_attrs(study._study_id)
        kept = _study_note(records, there)
        for name, figure in figures.items():
            kept |= split_plot_data(figure.to_json(), f"{SYSTEM_ATTR_PLOT_DATA}{name}:")
        trials = StudyTrials(storage, records.name, fence)
        trials.keep_for_optuna(kept | _trial_notes(study, records, there), _stale(there, kept))


def _study_note(records: Records, there: Mapping[str, Any]) -> dict[str, object]:
    version = there.get(note_ver_key(None), 0)
    return {note_ver_key(None): version + 1, **split_body(note(records), None)}


def _stale(there: Collection[str], kept: Collection[str]) -> list[str]:
    """Parts of a longer note, of larger figures, and of ours that are not drawn any more.

    Such as a confusion of another network.
    """
    ours = (note_str_key_prefix(None), *(f"{SYSTEM_ATTR_PLOT_DATA}{name}:" for name in NAMES))
    return [key for key in there if key.startswith(ours) and key not in kept]


def _trial_notes(
    study: optuna.Study, records: Records, there: Collection[str]
) -> dict[str, object]:
    """A drawing with each trial that has no note yet: somebody may have written one.

    Pictures are no part of a note: the dashboard drops SVG and data URLs of Markdown, and shows
    artifacts only of a store that it was started with.
    """
    ids = trial_ids(study, [TrialState.COMPLETE])
    best = sorted(records.complete, key=lambda trial: -trial.values[0])
    noted = list({trial.number: trial for trial in (*records.front, *best)}.values())
    notes: dict[str, object] = {}
    for trial in noted[:MOST_NOTES]:
        trial_id = ids[trial.number]
        if note_ver_key(trial_id) not in there:
            notes |= {note_ver_key(trial_id): 1}
            notes |= split_body(trial_note(records, trial), trial_id)
    return notes


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
            f"{knee_in_words(records).capitalize()}: trial {knee.number}, "
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
