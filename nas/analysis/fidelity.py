"""How well a study's trainings rank architectures: which are sampled, and the signals compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy.engine import URL

from nas.analysis.results import score_of
from nas.space.errors import InputError
from nas.space.objectives import OBJECTIVES, score_of_data
from nas.statistics.rank_agreement import Fidelity, measure_fidelity
from nas.study.records import Records
from nas.study.trained_network import recipe_of
from nas.study.trial_record import TrialRecord
from trials.measurement import Measurement, TrainingKey
from trials.store import Store


def spread_sample(complete: Sequence[TrialRecord], count: int) -> list[TrialRecord]:
    """Architectures from the whole range of accuracies, evenly by rank.

    The best alone would be too much alike to be ranked; random ones would leave that to chance.

    Args:
        complete: complete trials, which have an accuracy.
    """
    ranked = sorted(complete, key=lambda trial: trial.values[0])
    if len(ranked) <= count:
        return ranked
    return [ranked[round(i)] for i in np.linspace(0, len(ranked) - 1, count)]


def compare_with_longer(
    url: URL,
    records: Records,
    sample: Sequence[TrialRecord],
    longer: Mapping[str, Mapping[int, float]],
) -> Fidelity:
    """Rank agreement of a study's own trainings with longer ones of the same architectures.

    Args:
        url: of the study's database.
        sample: trials whose architectures have all their longer trainings.
        longer: accuracies of those, by architecture and seed.

    Raises:
        InputError: the measurement of a trial is missing.
        ValueError: fewer than three architectures, or than two seeds.
    """
    store = Store(url, create=False)
    try:
        measured = [_first_run(store, records, trial) for trial in sample]
    finally:
        store.close()
    table = [
        [accuracy for _, accuracy in sorted(longer[m.architecture_key].items())] for m in measured
    ]
    return measure_fidelity(table, signals_of(measured))


def signals_of(measured: Sequence[Measurement]) -> dict[str, list[float]]:
    """What complete trainings tell of their architectures; larger means better."""
    epochs = len(measured[0].curve)
    score = OBJECTIVES[score_of_data(measured[0].accuracy is None)].noun
    signals = {
        f"{score} after all {epochs} epochs": [score_of(m) for m in measured],
        "sum of training losses, least first": [-sum(e[0] for e in m.curve) for m in measured],
        "validation loss, least first": [-m.curve[-1][1] for m in measured],
        "MACs": [float(m.macs) for m in measured],
        "parameters": [float(m.params) for m in measured],
    }
    for after in sorted({1, epochs // 4, epochs // 2} - {0, epochs}):
        shown = "the first epoch" if after == 1 else f"{after} epochs"
        signals[f"{score} after {shown}"] = [m.curve[after - 1][2] for m in measured]
    return signals


def _first_run(store: Store, records: Records, trial: TrialRecord) -> Measurement:
    recipe = recipe_of(records, trial)
    key = (trial.architecture.key, records.data.fingerprint, recipe.key, recipe.epochs)
    found = store.find(TrainingKey(*key, trial.seeds[0]), records.name)
    if not found:
        raise InputError.of("--study", f"the measurement of trial {trial.number} is missing")
    return found[0]
