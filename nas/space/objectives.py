"""What a front may be made of: accuracy, and what a network costs.

To add one, give `nas.architecture.cost.Cost` a field and list it here: the keys of the file, the
study's values, ``--best``, tables and figures follow. Where it has to be measured, it is a field of
`trials.measurement.Measurement` that `trials.trial` sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from nas.architecture.cost import Cost
from nas.space.quantities import format_count, parse_count, parse_number
from trials.measurement import Measurement

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Objective:
    """One objective.

    Attributes:
        name: in a file, and of the study's metric.
        noun: in tables; with the unit where that is another word.
        unit: in sentences, after the amount; empty where the amount has it already.
        title: of a figure's axis.
        amount: a value in a sentence, three digits perhaps.
        cell: a value in a table, exact where that can be read.
        parse: a bound as it is typed; raises ValueError.
        counted: the field of `Cost`; empty where it has to be measured.
        measured: the field of `Measurement`; a trial has the mean over its seeds.
        of_machine: depends on the machine, so that no other study's measurement stands for it.
        needs_gpu: is measured on CUDA devices alone.
    """

    name: str
    noun: str
    unit: str
    title: str
    amount: Callable[[float], str]
    cell: Callable[[float], str]
    parse: Callable[[object], float] = parse_count
    direction: Direction = "minimize"
    counted: str = ""
    measured: str = ""
    of_machine: bool = False
    needs_gpu: bool = False

    @property
    def headline(self) -> str:
        """The noun at the beginning of a title."""
        return self.noun[0].upper() + self.noun[1:]

    @property
    def heading(self) -> str:
        """Heading of a table's column: ``MACs``, ``latency, ms``."""
        return self.noun if self.unit in ("", self.noun) else f"{self.noun}, {self.unit}"

    def in_words(self, value: float) -> str:
        """``345K MACs``, ``1.23 ms``, ``accuracy 0.9123``."""
        amount = self.amount(value)
        return f"{amount} {self.unit}" if self.unit else f"{self.noun} {amount}"

    def count(self, cost: Cost) -> float:
        """Its value for a network, which is not run; of an objective that is counted."""
        counted: float = getattr(cost, self.counted)
        return counted

    def value(self, cost: Cost, measurements: Sequence[Measurement]) -> float:
        """Its value for a trial with one complete measurement or several."""
        if self.counted:
            return float(self.count(cost))
        return fmean(getattr(measurement, self.measured) for measurement in measurements)


def _bytes(value: float) -> str:
    return f"{format_count(value)}B"


_COUNTED: dict[str, Any] = {"amount": format_count, "cell": "{:,.0f}".format}

OBJECTIVES = {
    objective.name: objective
    for objective in (
        Objective(
            "accuracy",
            noun="accuracy",
            unit="",
            title="validation accuracy",
            amount="{:.4f}".format,
            cell="{:.4f}".format,
            direction="maximize",
            measured="accuracy",
        ),
        *(
            Objective(
                name,
                noun=noun,
                unit="",
                title=f"validation {noun}",
                amount="{:.4f}".format,
                cell="{:.4f}".format,
                direction="maximize",
                measured=measured,
            )
            for name, noun, measured in (
                ("balanced_accuracy", "balanced accuracy", "balanced_accuracy"),
                ("macro_f1", "macro F1", "macro_f1"),
                ("top5", "top-5 accuracy", "top5_accuracy"),
                ("average_precision", "mean average precision", "average_precision"),
                ("map_at_100", "MAP@100", "map_at_100"),
            )
        ),
        Objective(
            "macs",
            noun="MACs",
            unit="MACs",
            title="multiply-accumulates (MACs) of an image",
            counted="macs",
            **_COUNTED,
        ),
        Objective(
            "params",
            noun="parameters",
            unit="parameters",
            title="parameters",
            counted="params",
            **_COUNTED,
        ),
        Objective(
            "latency_ms",
            noun="latency",
            unit="ms",
            title="latency of one image, ms",
            amount="{:.3g}".format,
            cell="{:.3g}".format,
            parse=parse_number,
            measured="latency_ms",
            of_machine=True,
        ),
        Objective(
            "peak_memory",
            noun="peak memory",
            unit="",
            title="peak memory of the GPU in training, bytes",
            amount=_bytes,
            cell=_bytes,
            measured="peak_memory_bytes",
            of_machine=True,
            needs_gpu=True,
        ),
    )
}
"""All objectives, by the names that they have in a file."""

MAXIMIZED = tuple(name for name, o in OBJECTIVES.items() if o.direction == "maximize")
MINIMIZED = tuple(name for name, o in OBJECTIVES.items() if o.direction == "minimize")
SHARES = ("accuracy", "top5")
"""Those that are a share of the images, so that their number tells how exact it is."""

OF_MANY_LABELS = ("average_precision", "map_at_100")
"""What can be maximized where images have many labels, or none."""
COUNTED = tuple(name for name in MINIMIZED if OBJECTIVES[name].counted)
MOST_MINIMIZED = 2
"""Costs of one study: a front of more is nearly everything, and cannot be drawn."""


def score_of_data(many_labels: bool) -> str:
    """The objective that networks are judged by, whatever else a study maximizes."""
    return OF_MANY_LABELS[0] if many_labels else "accuracy"


def measured_fields(names: Iterable[str]) -> frozenset[str]:
    """Fields of `Measurement` that a training has to fill in for these objectives."""
    return frozenset(OBJECTIVES[name].measured for name in names if OBJECTIVES[name].measured)
