"""Error rates and power of both ways to a verdict, by simulated studies.

    python benchmarks/calibration.py [--studies 1000] [--noise 0.67] [--table calibration.csv]
    python benchmarks/calibration.py --published studies/2026-11-22-cifar10-cpu

No network is trained: the race and the fixed design see accuracies exactly as they do those of a
real study. What misses its level is marked.
"""

from __future__ import annotations

import csv
import functools
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import stats

from nas.analysis.answer import Answer, answer
from nas.analysis.published import published_results
from nas.cli import cli_errors
from nas.statistics.decision import Claim, judge
from nas.statistics.paired import noise_components
from nas.statistics.race import Race, RacePlan, run_race
from nas.statistics.race_outcome import outcome_of
from simulated_studies import NOISES, SimulatedStudies, truths

LOOKS = (4, 8, 12, 16, 24, 32, 48)

BESIDE = ("wins", "ends win", "equivalent within delta")
"""What a race says beside its claim; what wins by more than delta wins, too."""


@dataclass(frozen=True)
class Setting:
    """What the simulated studies have in common.

    Attributes:
        deviation: of one training, as a fraction.
        confirmed: interior arms that a fixed design confirms: the best by the screening seeds.
        screening: seeds that choose in a fixed design.
        confirmation: seeds that judge in it.
    """

    interior: int = 6
    ends: int = 3
    deviation: float = 0.0067
    delta: float = 0.005
    alpha: float = 0.05
    confirmed: int = 2
    screening: int = 4
    confirmation: int = 8


@dataclass(frozen=True)
class Row:
    """What became of the studies of one truth and one noise; shares of all of them.

    Attributes:
        may_support: whether *supported* is right.
        may_refute: whether *refuted* is.
        race_wins, race_ends_win, race_equivalent: what a race says beside its claim.
        wrong_beside: the largest of those shares that are wrong; each has a level of its own.
        race_trainings: mean of a race; of a fixed design it is planned.
        fixed_void: no verdict, for a training failed.
    """

    noise: str
    truth: str
    studies: int
    may_support: bool
    may_refute: bool
    race_supported: float
    race_refuted: float
    race_wins: float
    race_ends_win: float
    race_equivalent: float
    wrong_beside: float
    race_trainings: float
    fixed_supported: float
    fixed_refuted: float
    fixed_void: float
    fixed_trainings: int

    def wrong(self, method: str) -> float:
        """Share of wrong verdicts."""
        supported = 0.0 if self.may_support else getattr(self, f"{method}_supported")
        refuted = 0.0 if self.may_refute else getattr(self, f"{method}_refuted")
        return max(float(supported), float(refuted))


def race_plan(setting: Setting, arms: tuple[str, ...]) -> RacePlan:
    """The race of a setting."""
    interior, ends = arms[: setting.interior], arms[setting.interior :]
    return RacePlan(interior, ends, LOOKS, setting.delta, setting.alpha)


def trainings(race: Race) -> int:
    """How many a race took."""
    return sum(race.trained.values())


def outcome_of_race(race: Race) -> str:
    """In the words of a fixed design."""
    return "supported" if race.supported else "refuted" if race.is_refuted else "inconclusive"


def outcome_of_fixed(
    setting: Setting,
    scores: dict[str, NDArray[np.float64]],
    failed: dict[str, NDArray[np.bool_]],
) -> str:
    """By the first seeds as screening, and by the next ones as confirmation."""
    first, last = setting.screening, setting.screening + setting.confirmation
    arms = tuple(scores)
    ends = arms[setting.interior :]
    screening = {arm: scores[arm][:first] for arm in arms if not failed[arm][:first].any()}
    interior = [arm for arm in arms[: setting.interior] if arm in screening]
    best = sorted(interior, key=lambda arm: -screening[arm].mean())[: setting.confirmed]
    confirmation = {arm: scores[arm][first:last] for arm in (*ends, *best)}
    if not best or any(failed[arm][first:last].any() for arm in confirmation):
        return "void"
    screened = {arm: scores[arm][:first] for arm in confirmation}
    claim = Claim(ends, setting.delta, setting.alpha)
    return judge(screened, confirmation, claim).outcome


def row(setting: Setting, studies: int, case: tuple[int, int]) -> Row:
    """Simulate the studies of one noise and one truth, by their numbers."""
    noise = NOISES[case[0]]
    truth = truths(setting.interior, setting.ends, setting.delta)[case[1]]
    simulated = SimulatedStudies(
        setting.interior, setting.ends, truth, noise, setting.deviation, LOOKS[-1]
    )
    plan, rng = race_plan(setting, simulated.arms), np.random.default_rng(case)
    race, beside, fixed, spent = Counter[str](), Counter[str](), Counter[str](), 0
    for _ in range(studies):
        scores, failed = simulated.draw(rng)
        found = run_race(plan, {arm: values.tolist() for arm, values in scores.items()})
        race[outcome_of_race(found)] += 1
        beside[outcome_of(found)] += 1
        spent += trainings(found)
        fixed[outcome_of_fixed(setting, scores, failed)] += 1
    beside["wins"] += race["supported"]
    arms, judged = setting.interior + setting.ends, setting.confirmed + setting.ends
    return Row(
        noise=noise.name,
        truth=truth.name,
        studies=studies,
        may_support=not truth.is_wrong("supported", setting.delta),
        may_refute=not truth.is_wrong("refuted", setting.delta),
        race_supported=race["supported"] / studies,
        race_refuted=race["refuted"] / studies,
        race_wins=beside["wins"] / studies,
        race_ends_win=beside["ends win"] / studies,
        race_equivalent=beside["equivalent within delta"] / studies,
        wrong_beside=max(
            (beside[said] / studies for said in BESIDE if truth.is_wrong(said, setting.delta)),
            default=0.0,
        ),
        race_trainings=spent / studies,
        fixed_supported=fixed["supported"] / studies,
        fixed_refuted=fixed["refuted"] / studies,
        fixed_void=fixed["void"] / studies,
        fixed_trainings=arms * setting.screening + judged * setting.confirmation,
    )


def rows(setting: Setting, studies: int) -> Iterator[Row]:
    """All cases, one process for each core."""
    cases = [
        (noise, truth)
        for noise in range(len(NOISES))
        for truth in range(len(truths(setting.interior, setting.ends, setting.delta)))
    ]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(functools.partial(row, setting, studies), cases)


def rates_table(setting: Setting, found: list[Row]) -> Table:
    """Shares of both methods' verdicts, those that would be wrong with what they must not pass."""
    table = Table(
        title=f"{found[0].studies:,} studies a row: {setting.ends} ends, {setting.interior} "
        f"interior arms, noise {setting.deviation:.2%}, delta {setting.delta:.2%}, alpha "
        f"{setting.alpha:.0%}; 95% intervals; wrong verdicts in brackets, ! where they miss alpha, "
        "? where perhaps"
    )
    for heading in ("noise", "truth"):
        table.add_column(heading)
    for method in ("race", "fixed"):
        for heading in ("supported", "refuted", "trainings"):
            table.add_column(f"{method}: {heading}", justify="right")
    table.add_column("fixed: void", justify="right")
    for one in found:
        cells = []
        for method, spent in (("race", one.race_trainings), ("fixed", one.fixed_trainings)):
            for outcome, is_right in (
                ("supported", one.may_support),
                ("refuted", one.may_refute),
            ):
                share = getattr(one, f"{method}_{outcome}")
                cells.append(_rate(share, one.studies, is_right, setting.alpha))
            cells.append(f"{spent:.0f}")
        table.add_row(one.noise, one.truth, *cells, f"{one.fixed_void:.0%}")
    return table


def _rate(share: float, studies: int, is_right: bool, alpha: float) -> str:
    """A share with its exact interval (Clopper and Pearson 1934)."""
    interval = stats.binomtest(round(share * studies), studies).proportion_ci(0.95)
    text = f"{share:.1%} ({interval.low:.1%} to {interval.high:.1%})"
    if is_right:
        return text
    mark = " !" if interval.low > alpha else " ?" if share > alpha else ""
    return f"[{text}]{mark}"


def worst_table(setting: Setting, found: list[Row]) -> Table:
    """The largest share of wrong verdicts over all truths, for each noise."""
    table = Table(title="wrong verdicts of the worst truth")
    for heading in ("noise", "race", f"race: {', '.join(BESIDE)}", "fixed"):
        table.add_column(heading, justify="left" if heading == "noise" else "right")
    for noise in dict.fromkeys(one.noise for one in found):
        of_noise = [one for one in found if one.noise == noise]
        shares = (
            max(one.wrong("race") for one in of_noise),
            max(one.wrong_beside for one in of_noise),
            max(one.wrong("fixed") for one in of_noise),
        )
        cells = (_rate(share, found[0].studies, False, setting.alpha) for share in shares)
        table.add_row(noise, *(cell.replace("[", "").replace("]", "") for cell in cells))
    return table


def setting_of(folder: Path) -> Setting:
    """Arms, seeds, noise and claim of a published study."""
    results = published_results(folder)
    found = answer(results)
    if not isinstance(found, Answer) or found.verdict is None:
        raise typer.BadParameter(f"{folder}: no verdict of a fixed design")
    judged = sorted(found.verdict.against_best_end)
    confirmation = results.of_stage("confirmation").of(judged)
    deviation, _ = noise_components(list(confirmation.accuracies().values()))
    ends = len(found.verdict.claim.ends)
    return Setting(
        interior=sum(one.role == "interior" for one in found.rows),
        ends=ends,
        deviation=deviation,
        delta=found.verdict.claim.delta,
        alpha=found.verdict.claim.alpha,
        confirmed=len(judged) - ends,
        screening=results.plans[-1].plan.screening_seeds,
        confirmation=len(confirmation.common_seeds),
    )


def main(
    studies: Annotated[int, typer.Option(min=1, help="Simulated studies for each row.")] = 1000,
    noise: Annotated[
        float, typer.Option(min=0, help="Standard deviation of one training, in points.")
    ] = 0.67,
    delta: Annotated[
        float, typer.Option(min=0, max=20, help="Delta of the claim, in percentage points.")
    ] = 0.5,
    alpha: Annotated[float, typer.Option(min=0.001, max=0.4, help="Alpha of the claim.")] = 0.05,
    published: Annotated[
        Path | None, typer.Option(help="A study whose arms, seeds, noise and claim are taken.")
    ] = None,
    table: Annotated[Path | None, typer.Option(help="CSV file for all rows.")] = None,
) -> None:
    """Print the rates of all verdicts with their intervals."""
    setting = Setting(deviation=noise / 100, delta=delta / 100, alpha=alpha)
    if published is not None:
        with cli_errors():
            setting = setting_of(published)
    found = list(rows(setting, studies))
    console = Console(width=200)
    console.print(rates_table(setting, found), markup=False)
    console.print(worst_table(setting, found))
    if table is not None:
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(asdict(found[0]))
            writer.writerows(map(astuple, found))


if __name__ == "__main__":
    typer.run(main)
