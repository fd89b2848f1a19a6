"""What is written down of an ablation before its first training, beside arms and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2

from nas.space.ablation import Ablation, ablation_of
from nas.space.schema import SpaceFile
from nas.study.design import Arm
from trials.data import DataSummary


@dataclass(frozen=True)
class AblationTerms:
    """What is compared, axis by axis.

    Attributes:
        failed_score: what a training that fails scores: what guessing would. Without a shortcut a
            network may diverge, and would be missing where it is worst.
    """

    ablations: tuple[Ablation, ...]
    failed_score: float

    def fewest_seeds(self, alpha: float) -> int:
        """Seeds from which on every ablation can find something."""
        most = max(len(ablation.choices) - 1 for ablation in self.ablations)
        return ceil(1 + log2(most / alpha))

    def __str__(self) -> str:
        compared = "; ".join(map(str, self.ablations))
        return f"{compared}; a training that fails scores {self.failed_score:.4g}"


def ablation_terms(file: SpaceFile, arms: Sequence[Arm], data: DataSummary) -> AblationTerms | None:
    """What is written down of a design that is an ablation; None of another one."""
    if not file.claim.ablate:
        return None
    networks = {arm.name: arm.architecture for arm in arms if not arm.control_of}
    found = tuple(ablation_of(networks, axis) for axis in file.claim.ablate)
    # Of images with many labels a guess has no average precision to speak of.
    guess = 0.0 if data.many_labels else 1 / len(data.classes)
    return AblationTerms(found, guess)
