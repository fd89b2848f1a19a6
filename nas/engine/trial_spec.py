"""A trial to run, and the trainings that it is made of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nas.architecture.cost import Cost, count_cost
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture
from trials.bounded_json import parse_json, shortened
from trials.data.folds import Fold
from trials.measurement import TrainingKey
from trials.recipe import Recipe

if TYPE_CHECKING:  # workers take specifications from their driver, and have no need of Optuna
    from optuna.trial import FrozenTrial

# Nor of designs, which load pydantic: what needs one is called by drivers alone, and imports it.


@dataclass(frozen=True)
class TrialSpec:
    """A trial to run.

    Attributes:
        architecture: a published network beside a search may be none, but a reference.
        seeds: of its trainings, one each.
        recipe: of the study, or of the arm where that has one of its own.
        arm: its name in a design; empty in a search.
        role: of the arm.
        rung: at which it is trained now, where the search has some: see `nas.engine.halving`.
        fold: of the images, that judges; None where those do that always validate.
    """

    trial: int
    architecture: Architecture | Reference
    cost: Cost
    seeds: tuple[int, ...]
    recipe: Recipe
    arm: str = ""
    role: str = ""
    rung: int = 0
    fold: Fold | None = None

    @property
    def unique_key(self) -> str:
        """What is tried only once in a study."""
        from nas.study.design import unique_key

        return unique_key(self.architecture.key, self.arm, self.seeds, self.fold)

    @property
    def epochs(self) -> int:
        """Of all its trainings together."""
        return self.recipe.epochs * len(self.seeds)

    def trainings(self, fingerprint: str) -> list[TrainingKey]:
        """The trainings of the trial, on data with this fingerprint."""
        key, recipe, data = self.architecture.key, self.recipe, self.data_of(fingerprint)
        return [TrainingKey(key, data, recipe.key, recipe.epochs, seed) for seed in self.seeds]

    def data_of(self, fingerprint: str) -> str:
        """Fingerprint of the data as it is split for this trial."""
        return self.fold.fingerprint(fingerprint) if self.fold else fingerprint


def trial_seed(study_seed: int, architecture_key: str, replicate: int) -> int:
    """Seed of one training: of the study, the network and the replicate, and of nothing else."""
    text = f"{study_seed}/{architecture_key}/{replicate}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])


def names_architecture(trial: FrozenTrial) -> bool:
    """Whether a trial was made by a driver: one enqueued by hand names no architecture."""
    return "key" in trial.user_attrs


def spec_of(trial: FrozenTrial, recipe: Recipe) -> TrialSpec:
    """What an earlier driver wrote of a trial.

    Args:
        recipe: of the study.
    """
    from nas.study.design import network_of_role, recipe_of_arm
    from nas.study.setting import setting_from_json
    from nas.study.storage import understanding
    from nas.study.trial_record import fold_from_json

    attrs = trial.user_attrs
    with understanding(f"trial {trial.number}"):
        role = _text("role", attrs.get("role", ""))
        architecture = network_of_role(role, attrs["architecture"])
        warm_start = _text("warm_start", attrs.get("warm_start", ""))
        recipe = recipe_of_arm(role, setting_from_json(attrs.get("setting", "")), recipe)
        return TrialSpec(
            trial.number,
            architecture,
            count_cost(architecture),
            _seeds(attrs["seeds"]),
            replace(recipe, warm_start=warm_start),
            _text("arm", attrs.get("arm", "")),
            role,
            fold=fold_from_json(attrs.get("fold", "")),
        )


def _seeds(text: str) -> tuple[int, ...]:
    seeds = parse_json(text)
    if not isinstance(seeds, list) or not seeds or any(type(seed) is not int for seed in seeds):
        raise ValueError(f"seeds are whole numbers; got {shortened(text)}")
    return tuple(seeds)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"its {name} is a text; got {shortened(value)}")
    return value


def unique_key_of(trial: FrozenTrial) -> str:
    """What is tried only once in a study, of a trial that an earlier driver wrote."""
    from nas.study.design import unique_key
    from nas.study.storage import understanding
    from nas.study.trial_record import fold_from_json

    attrs = trial.user_attrs
    with understanding(f"trial {trial.number}"):
        key, arm = _text("key", attrs["key"]), _text("arm", attrs.get("arm", ""))
        fold = fold_from_json(attrs.get("fold", ""))
        return unique_key(key, arm, _seeds(attrs["seeds"]), fold)
