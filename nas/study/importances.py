"""How much of the accuracy each choice of a search explains."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState
from sqlalchemy.engine import URL

from nas.study.records import opened_study


def parameter_importances(url: str | URL, name: str) -> dict[str, float]:
    """Share of the accuracy's variance that each parameter explains (fANOVA, Hutter 2014).

    Of parameters that every complete trial has; empty where there is nothing to explain.

    Raises:
        NoStudy: there is none of this name.
    """
    with opened_study(url, name) as study:
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        # What a control is said to be is not what makes it good or bad.
        kept = [t for t in complete if t.user_attrs.get("role") not in ("twin", "handicapped")]
        if len({trial.values[0] for trial in kept}) < 2:
            return {}
        searched = optuna.create_study(directions=study.directions)
        searched.add_trials(kept)
        return optuna.importance.get_param_importances(
            searched,
            evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0),
            target=lambda trial: trial.values[0],
        )
