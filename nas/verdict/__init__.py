"""The paper's question, answered with statistics that a reviewer would accept."""

from nas.verdict.decision import Claim, JudgedArm, Outcome, Verdict, judge
from nas.verdict.noisy_front import NoisyFront, noisy_front
from nas.verdict.paired import (
    Comparison,
    power,
    seeds_needed,
    smallest_detectable_effect,
)

__all__ = [
    "Claim",
    "Comparison",
    "JudgedArm",
    "NoisyFront",
    "Outcome",
    "Verdict",
    "judge",
    "noisy_front",
    "power",
    "seeds_needed",
    "smallest_detectable_effect",
]
