"""How well a study's trainings rank architectures: which are sampled, and the signals compared."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.engine import URL

from nas.analysis.results import score_of
from nas.architecture.cost import count_cost
from nas.space.errors import InputError
from nas.space.objectives import OBJECTIVES, score_of_data
from nas.statistics.rank_agreement import Fidelity, measure_fidelity
from nas.study.records import Records
from nas.study.trained_network import recipe_as_trained
from nas.study.trial_record import TrialRecord
from trials.measurement import Measurement, TrainingKey
from trials.store import Store
from trials.zero_cost import TimedSignal


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


@dataclass(frozen=True)
class Signal:
    """What networks may be ranked by before, or without, a long training.

    Attributes:
        values: of each network; larger means better.
        seconds: that it takes, of each network.
    """

    values: Sequence[float]
    seconds: Sequence[float]

    @property
    def median_s(self) -> float:
        """Seconds for a network."""
        return float(np.median(self.seconds))


@dataclass(frozen=True)
class Comparison:
    """How well each signal ranks networks, and what it costs.

    Attributes:
        seconds: for a network, by the name of a signal or of the ceiling.
    """

    fidelity: Fidelity
    seconds: dict[str, float]


BASELINE = "MACs"
"""What every other signal has to beat: it is known of a network without building it."""

SLICES = "as slices of the shared network"
"""The score of networks that nothing but the training of the shared network has trained."""


def compare_with_longer(
    url: URL,
    records: Records,
    sample: Sequence[TrialRecord],
    longer: Mapping[str, Mapping[int, TrialRecord]],
    untrained: Mapping[str, Signal],
) -> Comparison:
    """Rank agreement of a study's own trainings with longer ones of the same architectures.

    Args:
        url: of the study's database.
        sample: trials whose architectures have all their longer trainings.
        longer: those, by architecture and seed.
        untrained: signals of the sample's networks that no training gives.

    Raises:
        InputError: the measurement of a trial is missing.
        ValueError: fewer than three architectures, or than two seeds.
    """
    store = Store(url, create=False)
    try:
        measured = [_first_run(store, records, trial) for trial in sample]
    finally:
        store.close()
    rows = [
        [training for _, training in sorted(longer[m.architecture_key].items())] for m in measured
    ]
    signals = trained_signals(measured) | dict(untrained) | counted_signals(sample)
    table = [[training.score for training in row] for row in rows]
    found = measure_fidelity(table, {n: s.values for n, s in signals.items()}, BASELINE)
    once = Signal((), [training.seconds for row in rows for training in row])
    seconds = {found.ceiling.signal: once.median_s}
    return Comparison(found, seconds | {name: signal.median_s for name, signal in signals.items()})


def trained_signals(measured: Sequence[Measurement]) -> dict[str, Signal]:
    """What complete trainings tell of their architectures, from the curves that are kept."""
    epochs = len(measured[0].curve)
    score = OBJECTIVES[score_of_data(measured[0].accuracy is None)].noun

    def signal(values: Sequence[float], after: int = epochs) -> Signal:
        return Signal(values, [m.seconds * after / epochs for m in measured])

    signals = {
        f"{score} after all {epochs} epochs": signal([score_of(m) for m in measured]),
        "validation loss, least first": signal([-m.curve[-1][1] for m in measured]),
        "sum of training losses, least first": signal(
            [-sum(e[0] for e in m.curve) for m in measured]
        ),
    }
    for after in sorted({1, epochs // 4, epochs // 2} - {0, epochs}, reverse=True):
        shown = "the first epoch" if after == 1 else f"{after} epochs"
        signals[f"{score} after {shown}"] = signal([m.curve[after - 1][2] for m in measured], after)
    if epochs > 1:
        name = "validation loss after the first epoch, least first"
        signals[name] = signal([-m.curve[0][1] for m in measured], after=1)
    return signals


def signals_before_training(found: Sequence[Mapping[str, TimedSignal]]) -> dict[str, Signal]:
    """Zero-cost signals, of one network after the other, as columns."""
    return {
        name: Signal([of[name].value for of in found], [of[name].seconds for of in found])
        for name in found[0]
    }


def counted_signals(sample: Sequence[TrialRecord]) -> dict[str, Signal]:
    """The costs of architectures; counting both in closed form takes the time that is given."""
    seconds = []
    for trial in sample:
        started = time.perf_counter()
        count_cost(trial.architecture)
        seconds.append(time.perf_counter() - started)
    return {
        BASELINE: Signal([trial.macs for trial in sample], seconds),
        "parameters": Signal([trial.params for trial in sample], seconds),
    }


def _first_run(store: Store, records: Records, trial: TrialRecord) -> Measurement:
    recipe = recipe_as_trained(records, trial)
    key = (trial.architecture.key, records.data.fingerprint, recipe.key, recipe.epochs)
    found = store.find(TrainingKey(*key, trial.seeds[0]), records.name)
    if not found:
        raise InputError.of("--study", f"the measurement of trial {trial.number} is missing")
    return found[0]
