"""A measurement, as a training leaves it."""

from __future__ import annotations

from trials.measurement import Measurement

MEASUREMENT = Measurement(
    architecture_key="a" * 16,
    architecture="{}",
    data="d" * 16,
    recipe="r" * 16,
    epochs=8,
    seed=2**47 + 1,
    macs=71_419_884_448,
    params=12,
    accuracy=0.1 + 0.2,
    validation_loss=1.5,
    curve=((1.0, 2.0, 0.25), (0.5, 1.5, 0.3)),
    seconds=1.25,
    images_per_second=800.0,
    device="cpu: x",
    worker="host:1",
    versions={"torch": "2.13.0"},
)
