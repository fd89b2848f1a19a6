"""What a study set out to answer, written down before its first result.

A plan may change later, but every change is kept with the number of results that were there by
then, so that nobody can take a claim that was fitted to results for one that was tested by them.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import optuna
from pydantic import TypeAdapter

from nas.architecture.position import end_names
from nas.space import SearchSpace
from nas.space.claim_section import JudgedOn
from nas.space.confirm_section import ConfirmSection
from nas.space.schema import SpaceFile
from nas.study.ablation_terms import AblationTerms
from nas.study.design import Arm, Stage
from nas.study.race_terms import RaceTerms
from nas.study.storage import attribute
from trials.bounded_json import validated

_ATTRIBUTE = "plan"


@dataclass(frozen=True)
class Plan:
    """The claim and what it is judged by.

    Attributes:
        delta: by how much the best interior point has to beat the best end, as a fraction.
        alpha: accepted probability of a wrong verdict.
        arms: names of all of a design; empty for a search, which finds its own.
        ends: those of them that are ends of the spectrum.
        screening_seeds: of each arm, to choose by.
        confirmation_seeds: of each confirmed arm, to judge by; 0 without a confirmation.
        confirmed: which arms are: ``front+ends`` or ``all``; of a search the ``front``.
        trials: of a search; 0 in a design, and where as many are tried as fit into a time.
        tuning: what is tried for each arm before it is screened, a line for each axis.
        tuning_seeds: of each combination of that.
        judged_on: the images that the confirmation is judged on.
        race: how arms are trained on until the claim is decided; None of a fixed design.
        ablation: which choices are compared; None where the claim is of the spectrum.
        folds: of a search, parts of the training images of which each confirmation seed is judged
            on another; 0 where the validation images judge all.
    """

    delta: float
    alpha: float
    arms: tuple[str, ...]
    ends: tuple[str, ...]
    screening_seeds: int
    confirmation_seeds: int
    confirmed: str
    trials: int = 0
    tuning: tuple[str, ...] = ()
    tuning_seeds: int = 0
    judged_on: JudgedOn = "validation"
    race: RaceTerms | None = None
    ablation: AblationTerms | None = None
    folds: int = 0

    @classmethod
    def of(
        cls,
        space: SearchSpace,
        arms: tuple[Arm, ...],
        as_many_as_fit: bool = False,
        race: RaceTerms | None = None,
        ablation: AblationTerms | None = None,
        folds: int = 0,
    ) -> Plan:
        """The plan of a file.

        Args:
            arms: of a design; of a search the ends are known, and the arms are what it finds.
            as_many_as_fit: trials, in place of the number that the file has.
            race: of a design that is one.
            ablation: of a design that is one.
            folds: of a search, see `nas.study.fresh_images`.
        """
        file = space.file
        of_arms = [arm.name for arm in arms if arm.role == "end"]
        ends = of_arms if arms else end_names(space.orders)
        return cls(
            file.claim.delta,
            file.claim.alpha,
            tuple(arm.name for arm in arms),
            tuple(ends),
            _screening_seeds(file),
            file.fresh_seeds,
            _confirmed(file),
            0 if file.design or as_many_as_fit else file.study.trials,
            tuple(file.tune.in_words()) if file.tune else (),
            file.tune.seeds if file.tune else 0,
            file.claim.on,
            race,
            ablation,
            folds,
        )

    def unreachable_verdicts(self) -> tuple[str, ...]:
        """Verdicts that no result could lead to, for the seeds are too few; a line for each.

        None of a search, which has no verdict.
        """
        ends, alpha = max(1, len(self.ends)), self.alpha
        if self.ablation is not None and self.screening_seeds < self.ablation.fewest_seeds(alpha):
            needed = self.ablation.fewest_seeds(alpha)
            return (
                f"not every ablation can show a difference with {self.screening_seeds} seeds and "
                f"alpha {alpha:g}: it takes {needed} seeds",
            )
        if not self.confirmation_seeds or not self.arms:
            return ()
        lines = []
        for verdict, level in (("supported", alpha), ("refuted", alpha / ends)):
            needed = math.ceil(-math.log2(level))
            if self.confirmation_seeds < needed:
                lines.append(
                    f"the claim cannot be {verdict} with {self.confirmation_seeds} confirmation "
                    f"seeds, {ends} ends and alpha {alpha:g}: it takes {needed} seeds"
                )
        return tuple(lines)

    def changes(self, other: Plan) -> tuple[str, ...]:
        """What is different in another plan, a line for each."""
        names = [f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)]
        return tuple(
            f"{name.replace('_', ' ')}: {self._shown(name)}, then {other._shown(name)}"
            for name in names
        )

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        if name == "delta":
            return f"{100 * value:g} percentage points"
        if name == "trials" and not value and not self.arms:
            return "as many as fit"
        return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _confirmed(file: SpaceFile) -> str:
    """Which arms are."""
    if file.design is None:
        return "front" if file.fresh_seeds else ""
    return file.confirm.arms if isinstance(file.confirm, ConfirmSection) else ""


def _screening_seeds(file: SpaceFile) -> int:
    """Those of a race are in its looks."""
    return (file.design.seeds or 0) if file.design else file.study.seeds_per_trial


@dataclass(frozen=True)
class Registration:
    """A plan from a moment on.

    Attributes:
        at: time in UTC, ISO 8601.
        results: trainings of each stage that had ended by then.
    """

    at: str
    results: dict[Stage, int]
    plan: Plan


_REGISTRATIONS = TypeAdapter(tuple[Registration, ...])


def register(
    study: optuna.Study, plan: Plan, results: dict[Stage, int], keep: Callable[..., object]
) -> None:
    """Write a plan into a study, unless it is the one that is there.

    Args:
        keep: a text with the study, by its name.
    """
    before = registrations(study.study_name, study.user_attrs)
    if not before or before[-1].plan != plan:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        entries = (*before, Registration(now, results, plan))
        keep(**{_ATTRIBUTE: registrations_to_json(entries)})


def registrations(study: str, attributes: dict[str, Any]) -> tuple[Registration, ...]:
    """The plans of a study by its name and attributes, oldest first.

    Raises:
        NoStudy: they are not as `register` writes them.
    """
    return attribute(study, attributes, _ATTRIBUTE, registrations_from_json, "[]")


def registrations_to_json(entries: tuple[Registration, ...]) -> str:
    """Plans as they are kept and published."""
    return _REGISTRATIONS.dump_json(entries, indent=1).decode()


def registrations_from_json(text: str) -> tuple[Registration, ...]:
    """What `registrations_to_json` wrote.

    Raises:
        JsonError: it is something else.
    """
    return validated(_REGISTRATIONS, text)
