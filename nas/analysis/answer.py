"""The verdict, the arms' table and the controls of a study, from its runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from statistics import fmean, median

import numpy as np

from nas.analysis.results import StudyResults
from nas.architecture.position import position
from nas.statistics.decision import Claim, Verdict, judge
from nas.statistics.front_bootstrap import FrontBootstrap, Label, bootstrap_front
from nas.statistics.paired import Comparison
from nas.statistics.pareto import reference_point
from nas.study.design import Role
from nas.study.plan import Plan
from trials.measurement import Measurement

COMPARABLE = 0.02
"""How far the costs of two arms may be apart, relative, for them to be called equal."""


class NoVerdict(ValueError):
    """The runs do not answer the question; the message says what is missing."""


@dataclass(frozen=True)
class ArmRow:
    """One arm in the table.

    Attributes:
        position: on the spectrum; see `nas.architecture.position`.
        screening: accuracies by which arms were chosen.
        confirmation: accuracies by which they are judged; empty where they were not confirmed.
        test: accuracies of the confirmation runs on the test split.
        shrinkage: by how much screening was too optimistic; in a design, whose stages have seeds
            that are common to all arms, compared with the ends.
        p_screened: probability of being on the front by the screening seeds, None where the noise
            is not known.
        p_confirmed: likewise by the confirmation seeds, among the confirmed arms.
        label: by the confirmation where there is one.
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
    shrinkage: float | None
    p_screened: float | None
    p_confirmed: float | None
    label: Label | None
    images_per_second: float | None
    steps_per_second: float | None
    peak_memory_bytes: int | None


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
        test: the chosen point minus the best end on the test split, with its interval; no part of
            the verdict.
        plan: the first one that was written down.
        planned_after: runs that had ended by then; none, unless the study is of an older version.
        changes: what was changed since then, or for this answer.
        looks: how often confirmation seeds were added after some had given results. Each time the
            level is halved, so all looks together are wrong with less than twice alpha.
        failed: runs without a result.
        set_aside: confirmed arms that cost more or less than the chosen one, or that failed in
            screening: they are not judged.
        volume: interval of the confirmed front's hypervolume, as a share of the rectangle up to the
            dearest arm; None where cost is equal or the noise is not known.
    """

    study: str
    verdict: Verdict | None
    reason: str
    test: tuple[float, float, float] | None
    plan: Plan
    planned_after: int
    changes: tuple[str, ...]
    looks: int
    rows: tuple[ArmRow, ...]
    controls: tuple[Control, ...]
    failed: int
    set_aside: tuple[str, ...]
    volume: tuple[float, float] | None


def answer(results: StudyResults, delta: float | None = None, alpha: float | None = None) -> Answer:
    """Answer the question of a study by its runs.

    Args:
        delta: another one than the study's plan has; said to be a change.
        alpha: likewise.

    Raises:
        NoVerdict: the study has no plan, or no complete run.
        ValueError: delta or alpha is out of range.
    """
    if not results.plans:
        raise NoVerdict(f"study {results.name} has no plan: it was run by an older version")
    if not any(run.measurement.accuracy is not None for run in results.runs):
        raise NoVerdict(f"study {results.name} has no complete run")
    return _Answering(results, delta, alpha)()


class _Answering:
    """Everything that an answer is put together from."""

    def __init__(self, results: StudyResults, delta: float | None, alpha: float | None) -> None:
        self.results = results
        self.plan = results.plans[0].plan
        self.latest = results.plans[-1].plan
        self.delta = self.latest.delta if delta is None else delta
        self.alpha = self.latest.alpha if alpha is None else alpha
        self.screening = results.of_stage("screening")
        self.confirmation = results.of_stage("confirmation")
        self.set_aside: tuple[str, ...] = ()

    def __call__(self) -> Answer:
        verdict, reason = None, ""
        try:
            verdict = self._verdict()
        except NoVerdict as error:
            reason = str(error)
        return Answer(
            study=self.results.name,
            verdict=verdict,
            reason=reason,
            test=self._on_test(verdict) if verdict else None,
            plan=self.plan,
            planned_after=sum(self.results.plans[0].results.values()),
            changes=self._changes(),
            looks=self._looks,
            rows=tuple(self._rows()),
            controls=tuple(self._controls()),
            failed=sum(run.measurement.state == "failed" for run in self.results.runs),
            set_aside=self.set_aside,
            volume=self._volume(),
        )

    # The verdict.

    def _verdict(self) -> Verdict:
        claim_alpha = self.alpha / 2**self._looks
        Claim(("an end",), self.delta, claim_alpha)  # refuses values that are out of range
        if not self.latest.confirmation_seeds:
            raise NoVerdict(
                "nothing was confirmed: what is chosen by some seeds has to be judged by others; "
                "add confirm: {seeds: 8}"
            )
        if not self.confirmation:
            raise NoVerdict("no run of the confirmation is complete yet")
        chosen = self._chosen()
        near = self._comparable(chosen)
        ends = tuple(name for name in near if self._role(name) == "end")
        for kind, missing in (
            ("regular", all(self._position(name) == 1.0 for name in ends)),
            ("depthwise", all(self._position(name) <= 0.0 for name in ends)),
        ):
            if missing:
                raise NoVerdict(f"no {kind} end of the same cost as {chosen} was confirmed")
        seeds = self._judging_seeds(near)
        return judge(
            {name: self._screened[name] for name in near if name in self._screened},
            {name: [_accuracy(self.confirmation[name][s]) for s in seeds] for name in near},
            Claim(ends, self.delta, claim_alpha),
        )

    def _chosen(self) -> str:
        """The interior arm that screening puts first, before any look at its confirmation."""
        interior = [name for name in self._screened if self._role(name) == "interior"]
        if not interior:
            raise NoVerdict("no interior point has all screening runs")
        if not self.results.is_design:  # of a search the front is confirmed
            interior = [name for name in interior if name in self._confirmed_arms] or interior
        chosen = max(interior, key=lambda name: fmean(self._screened[name]))
        if chosen not in self._confirmed_arms:
            raise NoVerdict(f"{chosen}, which screening chose, was not confirmed")
        return chosen

    def _comparable(self, chosen: str) -> list[str]:
        """Confirmed arms of the chosen one's cost; of a search the front has cheaper ones, too."""
        arms = [n for n in self._confirmed_arms if self._role(n) in ("end", "interior")]
        # Matched ones are within the tolerance that the study asked for.
        matched, cost = self.results.file.matched, self._cost(chosen)
        near = [
            name
            for name in arms
            if (matched or abs(self._cost(name) / cost - 1) <= COMPARABLE)
            and (self._role(name) == "end" or name in self._screened)
        ]
        self.set_aside = tuple(name for name in arms if name not in near)
        return near

    def _judging_seeds(self, judged: list[str]) -> list[int]:
        """The confirmation seeds, all of which every judged arm has to have come through.

        A seed that is missing in one arm could be left out of all, but it may be missing because
        of what it would have shown: that the network diverges.
        """
        for run in self.results.runs:
            failed = run.stage == "confirmation" and run.measurement.state == "failed"
            if failed and run.arm in judged:
                raise NoVerdict(
                    f"{run.arm} failed with confirmation seed {run.measurement.seed}: "
                    f"{run.measurement.reason}"
                )
        common = set.intersection(*(set(self.confirmation.get(name, {})) for name in judged))
        planned = self.latest.confirmation_seeds
        if len(common) < planned:
            raise NoVerdict(
                f"{len(common)} of {planned} confirmation seeds are complete in all arms"
            )
        return sorted(common)

    @cached_property
    def _confirmed_arms(self) -> list[str]:
        """Arms with a confirmation run, a failed one too."""
        runs = (run.arm for run in self.results.runs if run.stage == "confirmation")
        return list(dict.fromkeys(runs))

    @cached_property
    def _screened(self) -> dict[str, list[float]]:
        """Screening accuracies of each arm: of a design on the seeds that chose.

        Those are the seeds that were planned when the first confirmation run ended; what is added
        later, with confirmed accuracies in view, chooses nothing. An arm that failed with one of
        them is not chosen.
        """
        arms = {
            n: runs for n, runs in self.screening.items() if not self.results.arms[n].control_of
        }
        if not self.results.is_design:
            return {name: _accuracies(runs.values()) for name, runs in arms.items()}
        before = [e.plan for e in self.results.plans if not e.results.get("confirmation")]
        chosen_by = (before or [self.plan])[-1].screening_seeds
        screened = [r.measurement.seed for r in self.results.runs if r.stage == "screening"]
        seeds = list(dict.fromkeys(screened))[:chosen_by]
        return {
            name: [_accuracy(runs[seed]) for seed in seeds]
            for name, runs in arms.items()
            if set(seeds) <= set(runs)
        }

    @cached_property
    def _looks(self) -> int:
        """How often confirmation seeds were added after some had given results."""
        plans = self.results.plans
        return sum(
            after.results.get("confirmation", 0) > 0
            and after.plan.confirmation_seeds != before.plan.confirmation_seeds
            for before, after in pairwise(plans)
        )

    def _on_test(self, verdict: Verdict) -> tuple[float, float, float] | None:
        pair = [self.confirmation[name] for name in (verdict.chosen, verdict.best_end)]
        seeds = sorted(pair[0].keys() & pair[1].keys())
        chosen, end = ([runs[seed].test_accuracy for seed in seeds] for runs in pair)
        if None in chosen or None in end:
            return None
        comparison = Comparison.of(np.array(chosen, float), np.array(end, float))
        alpha = verdict.claim.alpha
        return comparison.mean, comparison.lower(alpha), comparison.upper(alpha)

    def _role(self, name: str) -> Role:
        return self.results.arms[name].role

    def _position(self, name: str) -> float:
        return position(self.results.arms[name].architecture)

    def _changes(self) -> tuple[str, ...]:
        """What is not as it was planned, and how many results were there by then."""
        lines = []
        for before, after in pairwise(self.results.plans):
            when = f"{after.at}, after {sum(after.results.values())} runs"
            lines += [f"{change} ({when})" for change in before.plan.changes(after.plan)]
        asked = replace(self.latest, delta=self.delta, alpha=self.alpha)
        lines += [f"{change} (for this answer alone)" for change in self.latest.changes(asked)]
        machines = {
            f"{m.device}, {m.threads} {'thread' if m.threads == 1 else 'threads'}, torch "
            f"{m.versions.get('torch', '?')}"
            for runs in self.confirmation.values()
            for m in runs.values()
        }
        if len(machines) > 1:
            lines.append(f"confirmed on different machines: {'; '.join(sorted(machines))}")
        return tuple(lines)

    # The table.

    @cached_property
    def _screened_front(self) -> dict[str, tuple[float, Label]]:
        """By the screening seeds, which all arms of a design have.

        Trials of a search have their own, mostly one; their noise is that of the confirmation.
        """
        if self.results.is_design:
            return _by_name(self._front(self._screened))
        return _by_name(self._front(self._screened, self._noise)) if self._noise else {}

    @cached_property
    def _noise(self) -> float | None:
        """Standard deviation of one training, by the confirmation runs."""
        return self._confirmed_front[1].noise if self._confirmed_front else None

    @cached_property
    def _confirmed_front(self) -> tuple[list[str], FrontBootstrap] | None:
        """By the confirmation seeds, among the confirmed arms."""
        runs = {n: r for n, r in self.confirmation.items() if not self.results.arms[n].control_of}
        common = sorted(set.intersection(*map(set, runs.values()))) if runs else []
        return self._front(
            {name: [_accuracy(r[seed]) for seed in common] for name, r in runs.items()}
        )

    def _front(
        self, table: Mapping[str, list[float]], noise: float | None = None
    ) -> tuple[list[str], FrontBootstrap] | None:
        names = list(table)
        if not names or (noise is None and len(table[names[0]]) < 2):
            return None
        costs = self._costs(names)
        return names, bootstrap_front(
            [table[n] for n in names], costs, reference_point(costs), noise=noise
        )

    def _costs(self, names: list[str]) -> list[float]:
        if self.results.file.matched is not None:
            return [1.0] * len(names)
        return [self._cost(name) for name in names]

    def _cost(self, name: str) -> float:
        """MACs of an arm, or parameters where those are the study's objective."""
        unit = "params" if "params" in self.results.file.objective_names else "macs"
        return float(getattr(self.results.arms[name].measurement, unit))

    def _volume(self) -> tuple[float, float] | None:
        if self._confirmed_front is None or self.results.file.matched:
            return None
        names, front = self._confirmed_front
        _, dearest = reference_point(self._costs(names))
        low, high = front.volume_interval(self.alpha)
        return low / dearest, high / dearest

    def _rows(self) -> Iterable[ArmRow]:
        confirmed_front = _by_name(self._confirmed_front)
        batch = self.results.file.training.full_recipe.batch_size
        for name, first in self.results.arms.items():
            screening = list(self.screening.get(name, {}).values())
            confirmation = list(self.confirmation.get(name, {}).values())
            rates = [
                r.images_per_second for r in (*screening, *confirmation) if r.images_per_second
            ]
            peaks = [
                r.peak_memory_bytes for r in (*screening, *confirmation) if r.peak_memory_bytes
            ]
            screened, confirmed = self._screened_front.get(name), confirmed_front.get(name)
            labelled = confirmed or screened
            yield ArmRow(
                name=name,
                role=first.role,
                position=position(first.architecture),
                macs=first.measurement.macs,
                params=first.measurement.params,
                screening=tuple(_accuracies(screening)),
                confirmation=tuple(_accuracies(confirmation)),
                test=tuple(r.test_accuracy for r in confirmation if r.test_accuracy is not None),
                shrinkage=self._shrinkage(name),
                p_screened=screened[0] if screened else None,
                p_confirmed=confirmed[0] if confirmed else None,
                label=labelled[1] if labelled else None,
                images_per_second=median(rates) if rates else None,
                steps_per_second=median(rates) / batch if rates else None,
                peak_memory_bytes=max(peaks, default=None),
            )

    def _shrinkage(self, name: str) -> float | None:
        own = self._raw_shrinkage(name)
        if own is None or not self.results.is_design:
            return own
        ends = [n for n in self.results.arms if self._role(n) == "end"]
        of_ends = [s for s in map(self._raw_shrinkage, ends) if s is not None]
        return own - fmean(of_ends) if of_ends else own

    def _raw_shrinkage(self, name: str) -> float | None:
        screening = _accuracies(self.screening.get(name, {}).values())
        confirmation = _accuracies(self.confirmation.get(name, {}).values())
        if not (screening and confirmation):
            return None
        return fmean(screening) - fmean(confirmation)

    # The controls.

    def _controls(self) -> Iterable[Control]:
        for name, run in self.results.arms.items():
            stage = self.confirmation if name in self.confirmation else self.screening
            if not run.control_of or name not in stage or run.control_of not in stage:
                continue
            seeds = sorted(stage[name].keys() & stage[run.control_of].keys())
            if seeds:
                yield self._control(
                    name,
                    run.control_of,
                    run.role,
                    Comparison.of(
                        [_accuracy(stage[name][seed]) for seed in seeds],
                        [_accuracy(stage[run.control_of][seed]) for seed in seeds],
                    ),
                )

    def _control(self, name: str, of: str, kind: Role, comparison: Comparison) -> Control:
        below, above = comparison.p_less(0.0), comparison.p_greater(0.0)
        p_value = below if kind == "handicapped" else min(1.0, 2 * min(below, above))
        smallest = 2.0**-comparison.seeds * (1 if kind == "handicapped" else 2)
        twins = sum(run.role == "twin" for run in self.results.arms.values())
        level = self.alpha if kind == "handicapped" else self.alpha / twins
        passed = None
        if smallest <= level:
            passed = (p_value <= level) == (kind == "handicapped")
        interval = (comparison.lower(self.alpha / 2), comparison.upper(self.alpha / 2))
        return Control(name, of, kind, (comparison.mean, *interval), p_value, passed)


def _accuracy(measurement: Measurement) -> float:
    if measurement.accuracy is None:
        raise ValueError("a run without a result")
    return measurement.accuracy


def _accuracies(measurements: Iterable[Measurement]) -> list[float]:
    return [_accuracy(measurement) for measurement in measurements]


def _by_name(front: tuple[list[str], FrontBootstrap] | None) -> dict[str, tuple[float, Label]]:
    """Probability and label of each arm."""
    if front is None:
        return {}
    names, found = front
    rows = zip(found.probabilities, found.labels, strict=True)
    return {name: (float(p), label) for name, (p, label) in zip(names, rows, strict=True)}
