"""What makes two searches the same study, and how to say what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from nas.space import SearchSpace
from nas.space.schema import SpaceFile
from trials.recipe import LATER

MAY_CHANGE = frozenset(
    {"study.trials", "data.source", "data.layout", "data.memory", "network.dims"}
)
"""More trials may be wanted later, and data may be moved, kept elsewhere, or said how to read: its
fingerprint tells whether it is the same, and the dimensions are its own, said or not. Resources may
change where no latency is measured on them."""

PLAN = frozenset({"design", "confirm", "claim"})
"""Sections of what is asked, not of what a training gives. They may change, and each change is
kept: see `nas.study.plan`. But half of the validation images, left for judging by the claim, is
missing from what everything else is trained and chosen by; and a race has read no other images than
those that it is judged on."""


class SpaceChanged(ValueError):
    """The study was begun with another search space; the message lists what differs."""


def identity(file: SpaceFile) -> dict[str, Any]:
    """Everything that a study's results depend on, by dotted name.

    Of the training the whole recipe, so that it does not matter which of its values were written
    out in the file. References are shown beside the results, none of which depend on them.
    """
    settings = file.model_dump(mode="json", exclude={"resources", "training", "references", *PLAN})
    settings["training"] = asdict(file.training.full_recipe)
    del settings["training"]["initialisation"]  # of a control arm, never of a study
    del settings["training"]["graph"]  # how fast, never what
    for name in LATER:
        if not settings["training"][name]:
            del settings["training"][name]
    if file.times_networks:
        settings["resources"] = {
            "device": "cuda" if file.resources.gpus_per_trial else "cpu",
            "threads": file.resources.threads,
        }
    if file.claim.on == "half" or (file.design is not None and file.design.is_race):
        settings["claim"] = {"on": file.claim.on}
    settings["design"] = _kind_of_design(file)
    flat = _flatten(settings, "")
    return {name: value for name, value in flat.items() if name not in MAY_CHANGE}


def with_confirmation(space: SearchSpace, kept: Mapping[str, Any] | None) -> SearchSpace:
    """A space whose file says whether its search is confirmed, where it leaves that to us.

    A new search is. One that an earlier version has begun, when none was unless it said so, goes on
    as it was.

    Args:
        kept: the file that the study was begun with; None where there is no study yet.
    """
    file = space.file
    if file.design or file.confirm or (kept is not None and kept.get("confirm") is None):
        return space
    document = replace(space.document, value={**space.document.value, "confirm": "auto"})
    file = file.model_copy(update={"confirm": "auto"})
    return SearchSpace.of(document, file, space.input_shape, space.classes)


def _kind_of_design(file: SpaceFile) -> str | None:
    if file.design is None:
        return None
    return "a race" if file.design.is_race else "arms with seeds"


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """One line for each setting that differs."""
    return [
        f"{name}: was {_shown(before.get(name))}, is now {_shown(after.get(name))}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return (
        "not set" if value is None else str(value).lower() if value in (True, False) else str(value)
    )


def _flatten(value: Any, name: str) -> dict[str, Any]:  # noqa: ANN401  # walks data of any shape
    if isinstance(value, dict):
        items = {f"{name}.{key}" if name else key: item for key, item in value.items()}
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        items = {f"{name}[{index}]": item for index, item in enumerate(value)}
    else:
        return {name: value}
    return {
        key: leaf for inner, item in items.items() for key, leaf in _flatten(item, inner).items()
    }
