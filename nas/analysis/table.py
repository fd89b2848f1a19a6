"""The table of arms: what each costs, how accurate it is in each stage, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from nas.analysis.fronts import ArmFront
from nas.analysis.question import Question
from nas.analysis.speed import SpeedRow, speed_row
from nas.statistics.decision import Verdict
from nas.statistics.front_bootstrap import Label
from nas.statistics.paired import Interval
from nas.study.design import Role
from nas.study.setting import NOT_TUNED, Setting


@dataclass(frozen=True)
class ArmRow(SpeedRow):
    """One arm in the table.

    Attributes:
        position: on the spectrum; see `nas.architecture.position`.
        screening: accuracies by which arms were chosen.
        confirmation: accuracies on the images that judge; empty where they were not confirmed.
        test: accuracies of the confirmation trainings on the test split.
        shrinkage: by how much screening was too optimistic, the winner's curse; in a design, whose
            stages have seeds that are common to all arms, compared with the ends.
        against_best_end: uncorrected; None of the best end itself and of what is not judged.
        p_screened: probability of being on the front by the screening seeds, None where the noise
            is not known.
        p_confirmed: the same by the confirmation seeds, among the confirmed arms.
        label: by the confirmation where there is one.
        setting: what was best for it, where it was tuned.
    """

    role: Role
    position: float
    screening: tuple[float, ...]
    confirmation: tuple[float, ...]
    test: tuple[float, ...]
    shrinkage: float | None
    against_best_end: Interval | None
    p_screened: float | None
    p_confirmed: float | None
    label: Label | None
    setting: Setting = NOT_TUNED

    @property
    def is_control(self) -> bool:
        """Whether it says something of the study, and nothing of a network."""
        return self.role in ("twin", "handicapped")


def arm_rows(
    question: Question,
    verdict: Verdict | None,
    screened: ArmFront | None,
    confirmed: ArmFront | None,
) -> Iterator[ArmRow]:
    """A row for each arm, controls included."""
    against = verdict.against_best_end if verdict else {}
    batch = question.results.file.training.full_recipe.batch_size
    for name, first in question.results.arms.items():
        screening = list(question.screening.get(name, {}).values())
        confirmation = list(question.confirmation.get(name, {}).values())
        shown = question.confirmation if confirmation else question.screening
        speed = speed_row(
            name,
            first.measurement,
            shown.scores(name),
            confirmation or screening,
            (*screening, *confirmation),
            batch,
        )
        by_screening = screened.place(name) if screened else None
        by_confirmation = confirmed.place(name) if confirmed else None
        labelled = by_confirmation or by_screening
        yield ArmRow(
            **vars(speed),
            role=first.role,
            position=question.position(name),
            screening=question.screening.scores(name),
            confirmation=question.confirmation.scores(name),
            test=tuple(r.test_score for r in confirmation if r.test_score is not None),
            shrinkage=_shrinkage(question, name),
            against_best_end=against.get(name),
            p_screened=by_screening[0] if by_screening else None,
            p_confirmed=by_confirmation[0] if by_confirmation else None,
            label=labelled[1] if labelled else None,
            setting=first.setting,
        )


def _shrinkage(question: Question, name: str) -> float | None:
    own = _raw_shrinkage(question, name)
    if own is None or not question.results.is_design:
        return own
    ends = [arm for arm in question.results.arms if question.role(arm) == "end"]
    of_ends = [s for s in (_raw_shrinkage(question, end) for end in ends) if s is not None]
    return own - fmean(of_ends) if of_ends else own


def _raw_shrinkage(question: Question, name: str) -> float | None:
    screening, confirmation = question.screening.scores(name), question.confirmation.scores(name)
    if not (screening and confirmation):
        return None
    return fmean(screening) - fmean(confirmation)
