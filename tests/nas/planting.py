"""Studies whose accuracies are planted: built as records, or by the command without training.

What a seed does to all arms alike is larger than what it does to each, as in real studies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from sqlalchemy.engine import make_url
from typer.testing import CliRunner, Result

from nas.analysis.published import write_results
from nas.analysis.results import StudyResults, read_results, results_of
from nas.architecture.cost import count_cost
from nas.engine.stage import StageRunner
from nas.search import app
from nas.space import SearchSpace
from nas.space.load import build_space, read_document
from nas.study.ablation_terms import ablation_terms
from nas.study.confirmation import arms_to_confirm
from nas.study.design import Arm, Design, arms_of, design_seeds
from nas.study.plan import Plan, Registration
from nas.study.records import Records
from tests.nas.driving import measured
from tests.nas.records import study, trial
from trials.measurement import Measurement

LEVEL = 0.7
NOISE = 0.003
SHARED = 0.01

MATCHED = """
name: planted
data: {source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}
network:
  stem: {channels: 16}
  blocks:
    - {channels: 16, stride: 2}
    - {channels: 24, stride: 2}
search:
  scope: network
  segments: [1, 2, C/8, C/4, C]
  order: [plain, spatial_first]
match: {macs: 200K, tolerance: 6%}
training: {epochs: 2, batch_size: 16}
design: {seeds: 3}
confirm: {seeds: 8}
claim: {delta: 0.5%, alpha: 5%}
"""

ARMS = (
    "plain",
    "1, spatial first",
    "2, spatial first",
    "C/8, spatial first",
    "C/4, spatial first",
    "C, spatial first",
)
ENDS = ("plain", "1, spatial first", "C, spatial first")


SEARCH = """
name: planted
data: {source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}
network:
  stem: {channels: 16}
  blocks:
    - {channels: 16, stride: 2}
    - {channels: 24, stride: 2}
search:
  segments: [1, 2, C/4, C]
  order: [spatial_first, pointwise_first]
training: {epochs: 2, batch_size: 16}
study: {trials: 10, sampler: random}
confirm: {seeds: 6}
"""

CONTROLS = "design.controls=true"
URL = make_url("sqlite:///runs/planted/study.db")
WINNER = "C/4, spatial first"


@dataclass
class Planted:
    """Stands in for Ray and its workers.

    Attributes:
        effects: by arm, or by a part of the architecture's JSON, added to the level.
        stop_after: trainings after which Ctrl-C is pressed, or the machine fails.
        stops_by: what is raised then.
        trainings: what was trained, in order: (study, arm, seed).
        tested: trainings that were evaluated on the test split.
    """

    effects: Mapping[str, float] = field(default_factory=dict)
    stop_after: int | None = None
    stops_by: BaseException = field(default_factory=KeyboardInterrupt)
    trainings: list[tuple[str, str, int]] = field(default_factory=list)
    tested: int = 0

    def run(self, driver, data, test=None, keep_weights=True, judges=False) -> None:
        while (spec := driver.next()) is not None:
            if len(self.trainings) == self.stop_after:
                raise self.stops_by
            self.trainings.append((driver.study.study_name, spec.arm, spec.seeds[0]))
            self.tested += test is not None
            driver.record(spec.trial, self.measurements(driver, spec, test))

    def measurements(self, driver, spec, test):
        return tuple(
            replace(
                measurement,
                accuracy=accuracy,
                test_accuracy=accuracy - 0.01 if test is not None else None,
                curve=((2.0, 2.0, accuracy / 2), (1.0, 1.0, accuracy)),
                images_per_second=1000.0,
            )
            for measurement in measured(driver, spec)
            for accuracy in [self.accuracy(spec, measurement.seed)]
        )

    def accuracy(self, spec, seed: int) -> float:
        shared = np.random.default_rng(seed).normal(0, SHARED)
        name = spec.arm or spec.architecture.to_json()
        own = int.from_bytes(hashlib.sha256(f"{name}{seed}".encode()).digest()[:4])
        noise = np.random.default_rng(own).normal(0, NOISE)
        effect = sum(e for part, e in self.effects.items() if _names(part, spec))
        if spec.role == "handicapped":
            effect -= 0.2
        return float(np.clip(LEVEL + shared + noise + effect, 0, 1))


def _names(part: str, spec) -> bool:
    if part.startswith('"'):
        return part in spec.architecture.to_json()
    return spec.arm.removeprefix("twin of ") == part


def search(
    monkeypatch, planted: Planted, *options: str, text: str = MATCHED, results: bool = False
) -> Result:
    """`python -m nas.search` on a planted study, in the current folder.

    Without its results, which take seconds, unless they are asked for.
    """
    if not results:
        monkeypatch.setattr("nas.api.run_search._write_results", lambda *_: None)
    Path("planted.yaml").write_text(text)
    monkeypatch.setattr(StageRunner, "run", lambda _runner, *a, **k: planted.run(*a, **k))
    return CliRunner().invoke(app, ["--space", "planted.yaml", *options])


def results_by_command(monkeypatch, effects, *options: str, text: str = MATCHED) -> StudyResults:
    """What the command leaves in its database."""
    result = search(monkeypatch, Planted(effects), *options, text=text)
    assert result.exit_code == 0, result.stderr
    return read_results(URL, "planted")


def publish(results: StudyResults, folder: Path) -> None:
    """Write what is published of a study that was built here."""
    folder.mkdir()
    write_results(results, folder)
    (folder / "space.yaml").write_text(MATCHED)


def failing(results: StudyResults, arm: str, stage: str) -> StudyResults:
    """One training of an arm diverged."""
    seed = design_seeds("planted", 0, stage, 8)[2]
    trainings = tuple(
        replace(
            r,
            measurement=replace(
                r.measurement, accuracy=None, state="failed", reason="not finite", curve=()
            ),
        )
        if (r.arm, r.stage, r.measurement.seed) == (arm, stage, seed)
        else r
        for r in results.trainings
    )
    return replace(results, trainings=trainings)


@dataclass(frozen=True)
class PlantedStudy:
    """A study as its database would have it, and every training in it."""

    records: Records
    measurements: tuple[Measurement, ...]

    @property
    def results(self) -> StudyResults:
        return results_of(self.records, self.measurements)


_FOUND: dict[tuple[str, tuple[str, ...], str], PlantedStudy] = {}


def planted_study(effects, *overrides: str, text: str = MATCHED) -> PlantedStudy:
    """The study that `results_by_command` would read, built without a command and a database.

    Once for all tests, which only read it. Overrides are those of ``--set``.
    """
    key = (json.dumps(effects, sort_keys=True), overrides, text)
    if key not in _FOUND:
        Path("planted.yaml").write_text(text)
        space = build_space(read_document("planted.yaml", overrides))
        _FOUND[key] = _planted(space, Planted(effects))
    return _FOUND[key]


def planted_results(effects, *overrides: str, text: str = MATCHED) -> StudyResults:
    return planted_study(effects, *overrides, text=text).results


def _planted(space: SearchSpace, planted: Planted) -> PlantedStudy:
    file = space.file
    arms = arms_of(space) if file.design else ()
    count = file.design.seeds if file.design else file.study.trials
    seeds = design_seeds("planted", file.study.seed, "screening", count)
    specs = Design(arms, seeds).trials() if arms else zip(_drawn(space), seeds, strict=True)
    trials, measurements = _trials(space, planted, specs, test=False)
    records = Records(
        name="planted",
        file=file,
        document=space.document.value,
        data=study().data,
        objectives=tuple(file.objective_names),
        trials=trials,
        arms=arms,
        plans=(
            register_at(0, Plan.of(space, arms, ablation=ablation_terms(file, arms, study().data))),
        ),
    )
    if file.fresh_seeds:
        chosen = arms_to_confirm(records, space, arms)
        seeds = design_seeds("planted", file.study.seed, "confirmation", file.fresh_seeds)
        again, more = _trials(space, planted, Design(chosen, seeds).trials(), test=True)
        confirmation = replace(records, name="planted:confirmation", trials=again, arms=chosen)
        records = replace(records, confirmation=confirmation)
        measurements += more
    return PlantedStudy(records, measurements)


def register_at(results: int, plan: Plan) -> Registration:
    """A plan that was written down after so many results of each stage."""
    when = {"screening": results, "confirmation": results}
    return Registration("2026-01-01T00:00:00+00:00", when, plan)


def _drawn(space: SearchSpace) -> Iterator[Arm]:
    """Different random architectures, as a search draws them: they have no names."""
    drawn = map(space.sample, range(20 * space.file.study.trials))
    architectures = list({architecture.key: architecture for architecture in drawn}.values())
    for architecture in architectures[: space.file.study.trials]:
        yield Arm("", architecture, "interior")


def _trials(space: SearchSpace, planted: Planted, specs, test: bool):
    """Records and measurements of trainings of arms with seeds."""
    records, measurements = [], []
    for number, (arm, seed) in enumerate(specs):
        recipe = arm.recipe(space.file.training.full_recipe)
        cost = count_cost(arm.architecture)
        blank = trial(number, 0.0, arm.architecture)
        if arm.name:
            blank = replace(blank, arm=arm.name, role=arm.role, control_of=arm.control_of)
        accuracy = planted.accuracy(blank, seed)
        tested = accuracy - 0.01 if test else None
        values = {"accuracy": accuracy, "macs": cost.macs, "params": cost.params}
        records.append(
            replace(
                blank,
                values=tuple(values[name] for name in space.file.objective_names),
                accuracy=accuracy,
                test_accuracy=tested,
                curve=(accuracy / 2, accuracy),
                seeds=(seed,),
            )
        )
        measurements.append(
            Measurement(
                architecture_key=arm.architecture.key,
                architecture=arm.architecture.to_json(),
                data=study().data.fingerprint,
                recipe=recipe.key,
                epochs=recipe.epochs,
                seed=seed,
                macs=cost.macs,
                params=cost.params,
                accuracy=accuracy,
                test_accuracy=tested,
                validation_loss=1.0,
                curve=((2.0, 2.0, accuracy / 2), (1.0, 1.0, accuracy)),
                seconds=1.0,
                images_per_second=1000.0,
            )
        )
    return tuple(records), tuple(measurements)
