"""Records of studies that never ran: for tests of what is only shown."""

from __future__ import annotations

from nas import Architecture, Block, SpectrumPoint, Stem, count_cost
from nas.space.load import space_file
from nas.study.records import Records
from nas.study.trial_record import TrialRecord
from trials.data import DataSummary


def network(point: SpectrumPoint | None = None, residual: bool = True, width: int = 12):
    block = Block((width, width), point or SpectrumPoint(), stride=2, residual=residual)
    return Architecture((3, 8, 8), 4, Stem((width,)), (block,))


def trial(number: int, accuracy: float, architecture: Architecture, cost: float | None = None):
    """A complete trial; its second objective is its MACs unless it is given."""
    counted = count_cost(architecture)
    return TrialRecord(
        number=number,
        state="complete",
        network=architecture,
        macs=counted.macs,
        params=counted.params,
        values=(accuracy, counted.macs if cost is None else cost),
        accuracy=accuracy,
        seeds=(1,),
        curve=(accuracy,),
    )


def study(
    *trials: TrialRecord,
    objectives: tuple[str, ...] = ("accuracy", "macs"),
    classes: tuple[str, ...] = ("a", "b", "c", "d"),
    source: str = "digits",
) -> Records:
    data = DataSummary(
        fingerprint="0123456789abcdef",
        classes=classes,
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        images=(100, 25),
    )
    document = {
        "name": "small",
        "data": {"source": source},
        "network": {"stem": {"channels": 12}, "blocks": [{"channels": 12}]},
    }
    return Records(
        name="small",
        file=space_file(document),
        document=document,
        data=data,
        objectives=objectives,
        trials=trials,
    )
