"""What a sampler is told of trials that were trained for different numbers of epochs.

Optuna's samplers cannot be given what a trial reached at each rung where there are several
objectives (`Trial.report` and `should_prune` refuse, and TPE fails on a pruned trial with
intermediate values), and values of different rungs cannot be compared. So, as in BOHB (Falkner et
al. 2018), all that is learned is learned from one rung: the highest one that has `ENOUGH` results.
Trials that have a result there are complete for the sampler, with the values of that rung, also if
they went further. The others, which were not promoted so far, are pruned for it, without values:
TPE counts them among the bad ones. They would not be among its good ones either way, for those are
the best tenth, and a tenth or more of all trials are promoted to a rung before it has enough.
"""

from __future__ import annotations

from collections.abc import Callable

from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.engine.halving import Halving

ENOUGH = 10
"""Results: as many as TPE draws at random before it learns from any."""


class RungValues:
    """What a sampler is told of the trials of a halving.

    Args:
        halving: whose results they are.
        read: the trial of a number, for what was drawn for it.
    """

    def __init__(self, halving: Halving, read: Callable[[int], FrozenTrial]) -> None:
        self.halving, self.read = halving, read
        self.too_slow: set[int] = set()
        self._drawn: dict[int, FrozenTrial] = {}

    @property
    def rung(self) -> int:
        """The one that is learned from."""
        enough = (r for r, of in enumerate(self.halving.results) if len(of) >= ENOUGH)
        return max(enough, default=0)

    def trials(self) -> list[FrozenTrial]:
        """All that have a result, or were over a limit, in their order."""
        learned = self.halving.results[self.rung]
        told = []
        for number in sorted(self.halving.results[0].keys() | self.too_slow):
            if number not in self._drawn:
                self.remember(self.read(number))
            trial = self._drawn[number]
            complete = number in learned and number not in self.too_slow
            trial.state = TrialState.COMPLETE if complete else TrialState.PRUNED
            trial.values = learned[number] if complete else None
            told.append(trial)
        return told

    def remember(self, trial: FrozenTrial) -> None:
        """Keep what was drawn for a trial, so that it is not read again."""
        kept = create_trial(
            state=TrialState.PRUNED,
            params=trial.params,
            distributions=trial.distributions,
            system_attrs=trial.system_attrs,  # of NSGA-II and III, its generation
        )
        kept.number = trial.number
        self._drawn[trial.number] = kept
