"""One trial of a study, and how the database has it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from optuna.trial import FrozenTrial, TrialState
from pydantic import NonNegativeInt, PositiveInt, TypeAdapter

from nas.architecture.cost import Cost, count_cost
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture
from nas.space.objectives import score_of_data
from nas.study.design import network_of_role, point_of
from nas.study.setting import NOT_TUNED, Setting, setting_from_json
from trials.bounded_json import parse_json, validated
from trials.data.folds import Fold
from trials.measurement import latency_in_words

State = Literal["complete", "failed", "rejected", "pruned", "running", "waiting"]
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "rejected",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


class NotMeasured(LookupError):
    """Something was not measured in a study."""


@dataclass(frozen=True)
class RungResult:
    """What a trial gave at one rung of successive halving: a whole training of so many epochs.

    Attributes:
        values: of the objectives, in their order.
        seconds: of training, all seeds together.
    """

    epochs: int
    values: tuple[float, ...]
    seconds: float


RUNGS = TypeAdapter(tuple[RungResult, ...])
"""Reads and writes, as JSON, what a trial gave at its rungs."""


@dataclass(frozen=True)
class TrialRecord:
    """One trial of a study.

    Attributes:
        network: its architecture; a published network may be none, but stand beside a search.
        values: of the objectives, in their order; empty unless complete.
        accuracy: mean over the trial's seeds; None where images have many labels.
        curve: the score after each epoch, mean over the seeds.
        choices: what was drawn, by the parameters' names.
        reason: why it failed or was rejected.
        arm: of a design; empty in a search.
        role: of the arm: an end, interior, a control or published.
        control_of: the arm that a control repeats, or that a variant of the tuning is one of.
        setting: of the arm, where it was tuned.
        test_accuracy: mean over the seeds, where the test split was read.
        balanced_accuracy: mean over the seeds, where it was measured.
        top5_accuracy: mean over the seeds, where it was measured.
        average_precision: mean over the seeds, where it was measured; where images have many labels
            it takes the place of the accuracy.
        map_at_100: mean over the seeds, where it was measured.
        test_average_precision: as ``test_accuracy``, where images have many labels.
        latency_ms: of one image, where it was measured; ``latency_spread_ms`` is between the
            quartiles. Means over the seeds.
        kernels: that its first seed was trained on, where those were not PyTorch's.
        warm_start: SHA-256 of the shared network's weights that its own began with slices of; empty
            where they were drawn.
        validation_loss: mean over the seeds; None where an older version did not keep it.
        searched: the trial as the search has it, where this is what fresh seeds gave of it: the
            weights that were kept, and the seeds that they are of, are those.
        fold: part of the training images that it was judged by in place of those that validate: see
            `trials.data.folds`.
        rungs: what it gave at each rung so far, the lowest first; none without successive halving.
            One that was not promoted to the last is ``pruned``, and has nothing else.
    """

    number: int
    state: State
    network: Architecture | Reference
    macs: int
    params: int
    values: tuple[float, ...] = ()
    accuracy: float | None = None
    seconds: float = 0.0
    curve: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    choices: tuple[tuple[str, str | int | bool], ...] = ()
    reason: str = ""
    arm: str = ""
    role: str = ""
    control_of: str = ""
    test_accuracy: float | None = None
    balanced_accuracy: float | None = None
    average_precision: float | None = None
    map_at_100: float | None = None
    test_average_precision: float | None = None
    latency_ms: float | None = None
    latency_spread_ms: float | None = None
    kernels: str = ""
    warm_start: str = ""
    rungs: tuple[RungResult, ...] = ()
    setting: Setting = NOT_TUNED
    validation_loss: float | None = None
    top5_accuracy: float | None = None
    fold: Fold | None = None
    searched: TrialRecord | None = None

    @property
    def trained(self) -> TrialRecord:
        """The trial that weights were kept of, where this is what fresh seeds gave of it."""
        return self.searched or self

    @cached_property
    def cost(self) -> Cost:
        """Its cost, in closed form."""
        return count_cost(self.network)

    @property
    def architecture(self) -> Architecture:
        """Its point of the spectrum: all but references have one.

        Raises:
            ArchitectureError: it is a reference.
        """
        return point_of(self.network)

    @property
    def score_name(self) -> str:
        """The objective that networks are judged by: accuracy, unless images have many labels."""
        return score_of_data(self.accuracy is None and self.average_precision is not None)

    @property
    def score(self) -> float:
        """What a complete trial is judged by, on the validation split.

        Raises:
            NotMeasured: it has none.
        """
        found = self.average_precision if self.accuracy is None else self.accuracy
        if found is None:
            raise NotMeasured(f"trial {self.number} is {self.state}: it has no accuracy")
        return found

    @property
    def test_score(self) -> float | None:
        """The same on the test split; None where it was not read."""
        return self.test_average_precision if self.test_accuracy is None else self.test_accuracy

    @property
    def latency_in_words(self) -> str:
        """``0.44 ms``, marked where it was not steady; empty where it was not measured."""
        if self.latency_ms is None:
            return ""
        return latency_in_words(self.latency_ms, self.latency_spread_ms)

    @property
    def is_beside(self) -> bool:
        """Whether its arm is a control or a published network: no front is of it."""
        return self.role in ("twin", "handicapped", "published")


MEASURED = (
    *("accuracy", "balanced_accuracy", "test_accuracy", "latency_ms", "latency_spread_ms"),
    *("average_precision", "map_at_100", "test_average_precision", "validation_loss"),
    "top5_accuracy",
)
"""Fields that are means over a trial's seeds, or None; the database keeps those that are known."""

_TRIAL = TypeAdapter(TrialRecord)
_FOLD = TypeAdapter(tuple[NonNegativeInt, PositiveInt])
_ATTRIBUTES = (
    *(*MEASURED, "macs", "params", "seconds", "kernels", "warm_start", "reason", "arm", "role"),
)
"""Those that a trial has under the names of the record's fields, and as they are there."""


def is_pruned(trial: FrozenTrial) -> bool:
    """Whether a trial was trained, but not promoted: one over a limit has a reason instead."""
    attrs = trial.user_attrs
    return trial.state == TrialState.PRUNED and "rungs" in attrs and "reason" not in attrs


def _state(trial: FrozenTrial) -> State:
    return "pruned" if is_pruned(trial) else _STATES[trial.state]


def fold_from_json(text: str) -> Fold | None:
    """The fold that a trial's attributes name; none in an empty text.

    Raises:
        JsonError: it names something else.
    """
    return Fold(*validated(_FOLD, text)) if text else None


def record_of(trial: FrozenTrial, objectives: tuple[str, ...]) -> TrialRecord:
    """A trial as the database has it.

    Raises:
        ValueError: something of it is not as a driver writes it.
    """
    attrs = trial.user_attrs
    values = dict(zip(objectives, trial.values or (), strict=False))
    read = {
        "number": trial.number,
        "state": _state(trial),
        "network": network_of_role(attrs.get("role", ""), attrs["architecture"]),
        "values": tuple(values.values()),
        **{name: values.get(name) for name in MEASURED},
        "choices": tuple(trial.params.items()),
        "control_of": attrs.get("of", ""),
        "setting": setting_from_json(attrs.get("setting", "")),
        "fold": fold_from_json(attrs.get("fold", "")),
    }
    for name in ("curve", "seeds", "rungs"):
        if name in attrs:
            read[name] = parse_json(attrs[name], finite=False)  # a loss may be NaN
    read |= {name: attrs[name] for name in _ATTRIBUTES if name in attrs}
    if trial.state == TrialState.COMPLETE and len(values) != len(objectives):
        raise ValueError(f"a complete trial has {len(objectives)} values; got {len(values)}")
    return _TRIAL.validate_python(read)
