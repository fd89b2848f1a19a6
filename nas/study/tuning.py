"""What is tried for each arm of a design, and what was best for it.

The best learning rate depends on the network, and so does the best activation: arms that share one
are compared at what suits one of them. What is tried has seeds of its own, so that nothing that is
judged later was chosen by the same trainings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from nas.space.axes import AXES
from nas.space.quantities import in_multiples
from nas.space.tune_section import TuneSection
from nas.study.design import Arm, controls_of
from nas.study.setting import NOT_TUNED, Setting
from nas.study.trial_record import TrialRecord


def settings_of(arm: Arm, tune: TuneSection) -> tuple[Setting, ...]:
    """Every combination of what is tried for an arm; of a plain one no activation, for it
    has none, nor of a published one, for that would be another network.

    Learning rates one after the other: high ones may fail with everything else, and many failures
    in a row end a search.
    """
    orders = [block.point.order for block in arm.architecture.blocks]
    has_activation = any(map(AXES["activation"].has_effect, orders))
    may_change = has_activation and arm.role != "published"
    activations = tune.activation if may_change else None
    return tuple(
        Setting(learning_rate, weight_decay, activation)
        for activation in activations or (None,)
        for weight_decay in tune.weight_decay or (None,)
        for learning_rate in tune.learning_rate or (None,)
    )


def variants_of(arms: Sequence[Arm], tune: TuneSection) -> tuple[Arm, ...]:
    """Each arm with each of its settings, to be trained as arms; where it has a choice.

    Controls are left out: they have what their original has.
    """
    return tuple(
        replace(_with(arm, setting), name=f"{arm.name}; {setting}", control_of=arm.name)
        for arm in arms
        for settings in [settings_of(arm, tune)]
        if not arm.control_of and len(settings) > 1
        for setting in settings
    )


def is_tuned(arms: Sequence[Arm]) -> bool:
    """Whether it has been chosen what each arm has."""
    return any(arm.setting != NOT_TUNED for arm in arms)


def tuned(arms: Sequence[Arm], tune: TuneSection, trials: Sequence[TrialRecord]) -> tuple[Arm, ...]:
    """The arms, each with its best setting, and the controls with that of their originals.

    The best has the highest mean score, of those settings that failed with the fewest seeds; of
    equal ones the nearest to the recipe, then the first.

    Args:
        trials: of the variants: all that were planned.
    """
    tried: dict[str, list[TrialRecord]] = defaultdict(list)
    for trial in trials:
        tried[trial.control_of].append(trial)
    originals = [arm for arm in arms if not arm.control_of]
    chosen = tuple(_with(arm, _best(settings_of(arm, tune), tried[arm.name])) for arm in originals)
    controls = {arm.name for arm in arms if arm.control_of}
    return chosen + tuple(control for control in controls_of(chosen) if control.name in controls)


def _best(settings: Sequence[Setting], trials: Sequence[TrialRecord]) -> Setting:
    def rank(setting: Setting) -> tuple[int, float, float]:
        states = [trial.state for trial in trials if trial.setting == setting]
        scores = [t.score for t in trials if t.setting == setting and t.state == "complete"]
        return states.count("failed"), -fmean(scores) if scores else 0.0, setting.distance

    return min(settings, key=rank)


def _with(arm: Arm, setting: Setting) -> Arm:
    return replace(arm, network=setting.network(arm.architecture), setting=setting)


def at_the_edge(name: str, setting: Setting, tune: TuneSection) -> Iterator[str]:
    """A line for each choice of an arm that more, or less, might have been better than."""
    for axis in ("learning_rate", "weight_decay"):
        best, multiples = getattr(setting, axis), getattr(tune, axis) or ()
        for extreme, which in ((max, "highest"), (min, "lowest")):
            if multiples and best == extreme(multiples):
                what = f"{axis.replace('_', ' ')} {in_multiples(best)}"
                yield f"{name}: {what} is the {which} that was tried"
