"""A driver on a tiny space, and what its workers would report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna

from nas.engine.driver import Driver
from nas.engine.halving_driver import driver_for
from nas.space import SearchSpace
from nas.space.load import build_space, read_document
from trials.data import load
from trials.measurement import Measurement

SPACE = """
name: tiny
data: {source: synthetic, limit: 100, shape: [3, 8, 8], classes: 4}
network:
  stem: {channels: 8}
  blocks:
    - {channels: 8}
    - {channels: 12, stride: 2}
search:
  segments: 1..C
  activation: [none, relu]
  order: [spatial_first, pointwise_first, plain]
training: {epochs: 1, batch_size: 16}
study: {trials: 6}
"""


SMALL = SPACE.replace("segments: 1..C", "segments: [1, 2]").replace(
    "order: [spatial_first, pointwise_first, plain]", "scope: network"
)


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def read_space(text: str) -> SearchSpace:
    Path("space.yaml").write_text(text)
    return build_space(read_document("space.yaml"))


def open_driver(
    url,
    *overrides: str,
    text: str = SPACE,
    name: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Driver:
    Path("space.yaml").write_text(text)
    document = read_document("space.yaml", overrides)
    space = build_space(document)
    data = load(space.file.data.config).summary
    name = name or space.file.name
    return driver_for(space, None).open(url, name, space, data, Path("outbox"), say=say)


def measured(driver: Driver, spec, **changes) -> tuple[Measurement, ...]:
    """What a worker would report, with an accuracy that depends on the architecture alone."""
    accuracy = int(spec.architecture.key[:4], 16) / 2**16
    return tuple(
        replace(
            Measurement(
                architecture_key=spec.architecture.key,
                architecture=spec.architecture.to_json(),
                data=spec.data_of(driver.data.fingerprint),
                recipe=spec.recipe.key,
                epochs=spec.recipe.epochs,
                seed=seed,
                macs=spec.cost.macs,
                params=spec.cost.params,
                accuracy=accuracy,
                validation_loss=1.0,
                curve=((1.0, 1.0, accuracy),),
                seconds=1.0,
            ),
            **changes,
        )
        for seed in spec.seeds
    )


FAILED = {"state": "failed", "reason": "not finite: loss nan", "accuracy": None, "curve": ()}


def finish(driver: Driver, **changes) -> list[str]:
    """Run all that is left, each with these changes of its result; returns the keys in order."""
    keys = []
    while (spec := driver.next()) is not None:
        keys.append(spec.architecture.key)
        driver.prepare()
        driver.record(spec.trial, measured(driver, spec, **changes))
    return keys


def states(url, name="tiny") -> Counter[str]:
    study = optuna.load_study(study_name=name, storage=url.render_as_string(hide_password=False))
    return Counter(trial.state.name for trial in study.trials)
