"""From the runs of a study to its answer: the verdict, the arms' table, and the controls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from nas.spectrum import position
from nas.study.design import Role
from nas.study.registration import Plan
from nas.verdict.decision import Claim, Verdict, judge
from nas.verdict.evidence import Evidence
from nas.verdict.noisy_front import Label, NoisyFront, noisy_front
from nas.verdict.paired import Comparison
from trials.measurement import Measurement

COMPARABLE = 0.05
"""How far an interior point may be from the ends' cost, relative, and still be judged by them."""


class NoVerdict(ValueError):
    """The runs do not answer the question; the message says what is missing."""


@dataclass(frozen=True)
class ArmRow:
    """One arm in the table.

    Attributes:
        position: on the spectrum; see `nas.spectrum`.
        screening: accuracies by which arms were chosen.
        confirmation: accuracies by which they are judged; empty where they were not confirmed.
        test: accuracies of the confirmation runs on the test split.
        p_front: probability of being on the front, None where the noise is not known.
        images_per_second: of training, median of the runs.
        steps_per_second: likewise.
        peak_memory_bytes: of the GPU, the largest.
    """

    name: str
    role: Role
    position: float
    macs: int
    params: int
    screening: tuple[float, ...]
    confirmation: tuple[float, ...]
    test: tuple[float, ...]
    p_front: float | None
    label: Label | None
    images_per_second: float | None
    steps_per_second: float | None
    peak_memory_bytes: int | None

    @property
    def shrinkage(self) -> float | None:
        """By how much screening was too optimistic."""
        if not (self.screening and self.confirmation):
            return None
        return fmean(self.screening) - fmean(self.confirmation)


@dataclass(frozen=True)
class Control:
    """Whether a control came out as it must.

    Attributes:
        kind: ``twin``, which must show no difference, or ``handicapped``, which must be worse.
        difference: mean of the control minus its original, with its interval.
        p_value: two-sided for a twin; of the hypothesis of no loss for a handicapped arm.
        passed: None where the seeds are too few to tell.
    """

    name: str
    of: str
    kind: Role
    difference: tuple[float, float, float]
    p_value: float
    passed: bool | None


@dataclass(frozen=True)
class Answer:
    """What a study says.

    Attributes:
        verdict: None where there is none; ``reason`` then says why.
        plan: as it was written down before the first run.
        changes: what was changed since then, or for this answer.
        failed: runs without a result.
        set_aside: interior arms that cost too much more or less than the ends.
        volume: interval of the front's hypervolume, as a share of the rectangle up to the dearest
            arm; None where cost is equal or the noise is not known.
    """

    study: str
    verdict: Verdict | None
    reason: str
    plan: Plan
    changes: tuple[str, ...]
    rows: tuple[ArmRow, ...]
    controls: tuple[Control, ...]
    failed: int
    set_aside: tuple[str, ...]
    volume: tuple[float, float] | None


def answer(evidence: Evidence, delta: float | None = None, alpha: float | None = None) -> Answer:
    """Answer the question of a study by its runs.

    Args:
        delta: another one than the study's plan has; said to be a change.
        alpha: likewise.

    Raises:
        NoVerdict: the study has no plan, or no complete run.
        ValueError: delta or alpha is out of range.
    """
    if not evidence.plans:
        raise NoVerdict(f"study {evidence.name} has no plan: it was run by an older version")
    if not any(run.measurement.accuracy is not None for run in evidence.runs):
        raise NoVerdict(f"study {evidence.name} has no complete run")
    return _Answering(evidence, delta, alpha)()


class _Answering:
    """Everything that an answer is put together from."""

    def __init__(self, evidence: Evidence, delta: float | None, alpha: float | None) -> None:
        self.evidence = evidence
        self.plan = evidence.plans[0].plan
        latest = evidence.plans[-1].plan
        self.delta = latest.delta if delta is None else delta
        self.alpha = latest.alpha if alpha is None else alpha
        self.screening = evidence.of_stage("screening")
        self.confirmation = evidence.of_stage("confirmation")
        self.set_aside: tuple[str, ...] = ()

    def __call__(self) -> Answer:
        verdict, reason = None, ""
        try:
            verdict = self._verdict()
        except NoVerdict as error:
            reason = str(error)
        return Answer(
            study=self.evidence.name,
            verdict=verdict,
            reason=reason,
            plan=self.plan,
            changes=self._changes(),
            rows=tuple(self._rows()),
            controls=tuple(self._controls()),
            failed=sum(run.measurement.state == "failed" for run in self.evidence.runs),
            set_aside=self.set_aside,
            volume=self._volume(),
        )

    # The verdict.

    def _verdict(self) -> Verdict:
        arms = self.evidence.arms
        if not self.confirmation and self.evidence.plans[-1].plan.confirmation_seeds:
            raise NoVerdict("no run of the confirmation is complete yet")
        if not self.confirmation:
            raise NoVerdict(
                "nothing was confirmed: what is chosen by some seeds has to be judged by others; "
                "add confirm: {seeds: 8}"
            )
        ends = tuple(name for name in self.confirmation if arms[name].role == "end")
        missing = [name for name in self.plan.ends if name not in ends]
        interior = [name for name in self.confirmation if arms[name].role == "interior"]
        if missing or not ends:
            raise NoVerdict(f"no end was confirmed: {', '.join(missing) or 'there is none'}")
        interior = self._comparable(interior, ends)
        if not interior:
            raise NoVerdict("no interior point of the ends' cost was confirmed")
        judged = [*ends, *interior]
        seeds = sorted(set.intersection(*(set(self.confirmation[name]) for name in judged)))
        if not seeds:
            raise NoVerdict("no confirmation seed is complete in all arms")
        unscreened = [name for name in interior if name not in self._screened]
        if unscreened:
            raise NoVerdict(f"not screened: {', '.join(unscreened)}")
        return judge(
            {name: self._screened[name] for name in judged if name in self._screened},
            {name: [_accuracy(self.confirmation[name][s]) for s in seeds] for name in judged},
            Claim(ends, self.delta, self.alpha),
        )

    def _comparable(self, interior: list[str], ends: Iterable[str]) -> list[str]:
        """Those that cost what the ends cost; of a search the front has cheaper ones, too."""
        matched = self.evidence.matched
        if matched is not None and matched.cost == "latency_ms":
            return interior  # as measured when the widths were solved
        cost = matched.cost if matched else "macs"
        costs = {name: getattr(run.measurement, cost) for name, run in self.evidence.arms.items()}
        reference = median(costs[end] for end in ends)
        near = [n for n in interior if abs(costs[n] / reference - 1) <= COMPARABLE]
        self.set_aside = tuple(name for name in interior if name not in near)
        return near

    @cached_property
    def _screened(self) -> dict[str, list[float]]:
        """Screening accuracies of each arm: of a design on seeds that all judged arms have."""
        if not self.evidence.is_design:
            return {name: _accuracies(runs.values()) for name, runs in self.screening.items()}
        judged = [name for name in self.screening if name in self.confirmation]
        common = set.intersection(*(set(self.screening[name]) for name in judged), set(self._seeds))
        return {
            name: [_accuracy(self.screening[name][seed]) for seed in sorted(common)]
            for name in judged
            if common
        }

    @cached_property
    def _seeds(self) -> list[int]:
        return sorted({seed for runs in self.screening.values() for seed in runs})

    def _changes(self) -> tuple[str, ...]:
        """What is not as it was planned, and how many results were there by then."""
        lines = []
        for before, after in zip(self.evidence.plans, self.evidence.plans[1:], strict=False):
            when = f"{after.at}, after {sum(after.results.values())} runs"
            lines += [f"{change} ({when})" for change in before.plan.changes(after.plan)]
        latest = self.evidence.plans[-1].plan
        lines += [
            f"{name}: {getattr(latest, name):g}, for this answer {value:g}"
            for name, value in (("delta", self.delta), ("alpha", self.alpha))
            if value != getattr(latest, name)
        ]
        return tuple(lines)

    # The table.

    @cached_property
    def _front_arms(self) -> list[str]:
        return [name for name, run in self.evidence.arms.items() if not run.of]

    @cached_property
    def _front(self) -> NoisyFront | None:
        """Of all seeds of both stages: what is known of each arm by now."""
        arms = [name for name in self._front_arms if self._runs(name)]
        table = _table({name: self._runs(name) for name in arms})
        if (np.isfinite(table).sum(axis=1) < 2).all():
            return None
        return noisy_front(table, self._costs(arms), (0.0, 1.1 * max(self._costs(arms))))

    def _costs(self, arms: list[str]) -> list[float]:
        matched = self.evidence.matched
        return [1.0 if matched else float(self.evidence.arms[n].measurement.macs) for n in arms]

    def _volume(self) -> tuple[float, float] | None:
        if self._front is None or self.evidence.matched:
            return None
        dearest = 1.1 * max(self._costs([name for name in self._front_arms if self._runs(name)]))
        low, high = self._front.volume_interval(self.alpha)
        return low / dearest, high / dearest

    def _runs(self, name: str) -> dict[int, Measurement]:
        return {**self.screening.get(name, {}), **self.confirmation.get(name, {})}

    def _rows(self) -> Iterable[ArmRow]:
        front = self._front
        places = {name: i for i, name in enumerate(n for n in self._front_arms if self._runs(n))}
        batch = self.evidence.recipe.batch_size
        for name, first in self.evidence.arms.items():
            confirmation = list(self.confirmation.get(name, {}).values())
            rates = [r.images_per_second for r in self._runs(name).values() if r.images_per_second]
            peaks = [r.peak_memory_bytes for r in self._runs(name).values() if r.peak_memory_bytes]
            place = places.get(name) if front else None
            yield ArmRow(
                name=name,
                role=first.role,
                position=position(first.architecture),
                macs=first.measurement.macs,
                params=first.measurement.params,
                screening=tuple(_accuracies(self.screening.get(name, {}).values())),
                confirmation=tuple(_accuracies(confirmation)),
                test=tuple(r.test_accuracy for r in confirmation if r.test_accuracy is not None),
                p_front=None if front is None or place is None else front.probabilities[place],
                label=None if front is None or place is None else front.labels[place],
                images_per_second=median(rates) if rates else None,
                steps_per_second=median(rates) / batch if rates else None,
                peak_memory_bytes=max(peaks, default=None),
            )

    # The controls.

    def _controls(self) -> Iterable[Control]:
        for name, run in self.evidence.arms.items():
            stage = self.confirmation if name in self.confirmation else self.screening
            if not run.of or name not in stage or run.of not in stage:
                continue
            seeds = sorted(stage[name].keys() & stage[run.of].keys())
            if seeds:
                yield self._control(
                    name,
                    run.of,
                    run.role,
                    Comparison.of(
                        [_accuracy(stage[name][seed]) for seed in seeds],
                        [_accuracy(stage[run.of][seed]) for seed in seeds],
                    ),
                )

    def _control(self, name: str, of: str, kind: Role, comparison: Comparison) -> Control:
        below, above = comparison.p_less(0.0), comparison.p_greater(0.0)
        p_value = below if kind == "handicapped" else min(1.0, 2 * min(below, above))
        smallest = 2.0**-comparison.seeds * (1 if kind == "handicapped" else 2)
        passed = None
        if smallest <= self.alpha:
            passed = (p_value <= self.alpha) == (kind == "handicapped")
        interval = (comparison.lower(self.alpha / 2), comparison.upper(self.alpha / 2))
        return Control(name, of, kind, (comparison.mean, *interval), p_value, passed)


def _accuracy(measurement: Measurement) -> float:
    if measurement.accuracy is None:
        raise ValueError("a run without a result")
    return measurement.accuracy


def _accuracies(measurements: Iterable[Measurement]) -> list[float]:
    return [_accuracy(measurement) for measurement in measurements]


def _table(runs: Mapping[str, Mapping[int, Measurement]]) -> NDArray[np.float64]:
    """Accuracies (arms, seeds), nan where an arm was not trained with a seed."""
    seeds = sorted({seed for of_arm in runs.values() for seed in of_arm})
    rows = [
        [_accuracy(of_arm[seed]) if seed in of_arm else np.nan for seed in seeds]
        for of_arm in runs.values()
    ]
    return np.array(rows, dtype=np.float64).reshape(len(runs), len(seeds))
