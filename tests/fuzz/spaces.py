"""Search spaces: valid ones of every section, and what mistakes and malice make of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import yaml

from nas.space.axes import AXES, AxisSpec
from nas.space.objectives import MAXIMIZED, MINIMIZED
from tests.fuzz.mutations import damage, mutate
from trials.recipe import RECIPES

CHANNELS = (1, 2, 3, 8, 12, 24, 24, 48, 256, 65_536)
COUNTS = (1, 1000, "30K", "1.5M", "100M", "2G", 10**18)
FRACTIONS = (0.01, "1%", "6%", 0.2, 0.999, 1e-9)

SEGMENTS = ("1..C", "2..16", 1, 3, "C", "C/2", "C/8")


def _choices(axis: AxisSpec) -> tuple[Any, ...]:
    """What a file may say of an axis: all of its values, or the first and the last ones."""
    if axis.name == "segments":
        return SEGMENTS
    first, to, last = axis.valid_values.partition(" to ")
    if to:
        return (int(first), 2, 3, int(last))
    return tuple(map(yaml.safe_load, axis.valid_values.split(", ")))


CHOICES = {name: _choices(axis) for name, axis in AXES.items()}


def space_text(rng: random.Random) -> bytes:
    """A file of a search space, of which one in eight is as its writer meant it."""
    plain: Any = valid_space(rng)
    for _ in range(rng.choice((0, 0, 1, 1, 1, 2, 3, 8))):
        plain = mutate(plain, rng)
    content = yaml_of(plain, rng)
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 5))):
        content = damage(content, rng)
    return content


def yaml_of(plain: Any, rng: random.Random) -> bytes:
    """YAML in one of the styles that people and programs write; JSON is one."""
    if rng.random() < 0.3:
        text = json.dumps(plain)
    else:
        flow = rng.choice((None, False, True))
        text = yaml.safe_dump(plain, default_flow_style=flow, sort_keys=False, allow_unicode=True)
    return text.encode("utf-8", "surrogatepass")


def valid_space(rng: random.Random) -> dict[str, Any]:
    """A space whose sections are right by themselves, and mostly together."""
    space = {"name": rng.choice(("spectrum", "a", "1e3", "x" * 64)), "data": _data(rng)}
    space["network"] = {
        "stem": {
            "channels": rng.choice(CHANNELS[:8]),
            **_some(rng, stride=(1, 2), kernel=(3, 5, 7)),
        },
        "blocks": [_block(rng) for _ in range(rng.choice((1, 1, 2, 3, 6)))],
    }
    for name, section in SECTIONS.items():
        if rng.random() < 0.3:
            space[name] = section(rng)
    return space


def _some(rng: random.Random, **values: tuple[Any, ...]) -> dict[str, Any]:
    """A third of these keys, each with one of its values."""
    return {name: rng.choice(some) for name, some in values.items() if rng.random() < 1 / 3}


def _data(rng: random.Random) -> dict[str, Any]:
    side = rng.choice((1, 8, 8, 32, 299))
    synthetic = {"source": "synthetic", "limit": 100, "shape": [3, side, side], "classes": 4}
    source = rng.choice((synthetic, synthetic, {"source": "digits"}))
    return source | _some(rng, validation=FRACTIONS, memory=("2G", None, 1))


def _block(rng: random.Random) -> dict[str, Any]:
    channels = rng.choice((*CHANNELS, [8, 16], [24] * 3))
    more = {"convs": (1, 2, 3, 64), "stride": (1, 2, 8), "repeat": (1, 2, 7, 256)}
    downsample = ("max_pool", "convolution")
    own = _axes(rng) if rng.random() < 0.2 else {}
    return {"channels": channels, **_some(rng, **more, downsample=downsample), **own}


def _axes(rng: random.Random) -> dict[str, Any]:
    """Axes with a choice, or several."""
    found: dict[str, Any] = {}
    for name, choices in CHOICES.items():
        if rng.random() < 0.4:
            several = [c for c in choices if ".." not in str(c)]
            few = rng.sample(several, rng.randrange(1, len(several) + 1))
            found[name] = rng.choice((few, few, rng.choice(choices)))
    return found


def _search(rng: random.Random) -> dict[str, Any]:
    return _axes(rng) | _some(rng, scope=("block", "network"))


def _cost(rng: random.Random) -> dict[str, Any]:
    cost = rng.choice(("macs", "params", "latency_ms"))
    wanted = 5 if cost == "latency_ms" else rng.choice(COUNTS)
    return {cost: wanted, **_some(rng, tolerance=FRACTIONS)}


def _training(rng: random.Random) -> dict[str, Any]:
    return _some(
        rng,
        recipe=tuple(RECIPES),
        epochs=(1, 8, 100_000),
        batch_size=(2, 16, 1_000_000),
        learning_rate=(0.1, 1e-9, 1e6),
        momentum=(0, 0.9),
        weight_decay=(0, 1e-4),
        label_smoothing=(0, 0.1),
        crop=(0, 4, 64),
        flip=(True, False),
        class_weights=("balanced",),
        graph=("auto", "off"),
    )


def _objectives(rng: random.Random) -> dict[str, Any]:
    return _some(rng, maximize=MAXIMIZED, minimize=(*MINIMIZED, list(MINIMIZED[:2]), []))


def _study(rng: random.Random) -> dict[str, Any]:
    fidelity = ({"rungs": [1, 2]}, {"rungs": [2, 6, 18], "reduction": 2})
    samplers = ("tpe", "nsga2", "nsga3", "gp", "random", "grid")
    numbers = {"trials": (1, 6, 10**6), "seed": (0, 2**31 - 1), "seeds_per_trial": (1, 2, 1000)}
    return _some(rng, **numbers, sampler=samplers, fidelity=fidelity)


SECTIONS: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "search": _search,
    "macs": lambda rng: {rng.choice(("at_most", "match")): rng.choice(COUNTS)},
    "params": lambda rng: {"at_most": rng.choice(COUNTS)},
    "latency_ms": lambda rng: {"at_most": rng.choice((5, 0.01, 1e6))},
    "training": _training,
    "objectives": _objectives,
    "match": _cost,
    "study": _study,
    "design": lambda rng: {"seeds": rng.choice((1, 3, 1000)), **_some(rng, controls=(True, False))},
    "confirm": lambda rng: _some(rng, seeds=(1, 5, 1000), arms=("front+ends", "all")),
    "claim": lambda rng: _some(rng, delta=("0.5%", 0.2), alpha=("5%", 0.4)),
    "resources": lambda rng: _some(rng, cpus_per_trial=(1, 0.5, 1024), gpus_per_trial=(0, 0.5, 64)),
}
