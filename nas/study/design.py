"""A planned experiment: arms, each trained with the same seeds.

Trainings with the same seed are paired: it fixes the order of the images, the augmentation and the
stream of random numbers that the weights are initialised from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, PlainValidator, TypeAdapter

from nas.architecture.latency_matching import match_latency
from nas.architecture.matching import MatchError
from nas.architecture.position import is_end
from nas.architecture.reference import Reference
from nas.architecture.references import network_from_json
from nas.architecture.specification import Architecture, ArchitectureError
from nas.space import Choice, SearchSpace
from nas.space.published import published_arms
from nas.study.setting import NOT_TUNED, Setting
from trials.bounded_json import validated
from trials.data.folds import Fold
from trials.recipe import Recipe

Role = Literal["end", "interior", "twin", "handicapped", "published"]
Stage = Literal["tuning", "screening", "confirmation", "race", "references"]

BESIDE: tuple[Role, ...] = ("twin", "handicapped", "published")
"""Roles of arms that are trained beside those that are compared: no front, importance or verdict is
of them."""

HANDICAP = 30
"""What the learning rate of the handicapped arm is divided by."""


@dataclass(frozen=True)
class Arm:
    """A network under a name.

    Attributes:
        network: its architecture; a published network beside a search may be none.
        role: an end of the spectrum, an interior point of it, a control, or a published network.
        control_of: the arm that a control repeats, or that a variant of the tuning is one of.
        choices: what was chosen in the search space, by the parameters' names.
        latency_ms: as it was measured where its widths were solved for it.
        setting: what was best for it, where it was tuned: see `nas.study.tuning`. The activation of
            its network is that of the setting.
    """

    name: str
    network: Annotated[
        Architecture | Reference,
        PlainValidator(network_from_json),
        PlainSerializer(lambda network: network.to_json()),
        Field(alias="architecture"),
    ]
    role: Role
    control_of: Annotated[str, Field(alias="of")] = ""
    choices: Mapping[str, Choice] = field(default_factory=dict)
    latency_ms: float | None = None
    setting: Setting = NOT_TUNED

    @property
    def architecture(self) -> Architecture:
        """Its point of the spectrum: all arms of designs have one.

        Raises:
            ArchitectureError: it is a reference.
        """
        return point_of(self.network)

    def recipe(self, recipe: Recipe) -> Recipe:
        """The study's recipe, as this arm is trained by it."""
        return recipe_of_arm(self.role, self.setting, recipe)


def point_of(network: Architecture | Reference) -> Architecture:
    """A network as the point of the spectrum that it is.

    Raises:
        ArchitectureError: it is none.
    """
    if isinstance(network, Reference):
        raise ArchitectureError(f"{network.name} is no point of the spectrum")
    return network


def network_of_role(role: str, text: str) -> Architecture | Reference:
    """The network of a trial or an arm, from its JSON: only published ones may be references.

    Raises:
        ArchitectureError: it is something else.
    """
    return network_from_json(text) if role == "published" else Architecture.from_json(text)


def recipe_of_arm(role: str, setting: Setting, recipe: Recipe) -> Recipe:
    """A study's recipe, as an arm is trained by it; trials of a search have no role."""
    recipe = setting.recipe(recipe)
    if role == "twin":
        return replace(recipe, initialisation=1)
    if role == "handicapped":
        return replace(recipe, learning_rate=recipe.learning_rate / HANDICAP)
    return recipe


@dataclass(frozen=True)
class Design:
    """Arms and seeds.

    Attributes:
        up_to: seeds that an arm is trained with, by its name, the first ones; all where it is None.
            Of a race, in which some arms are trained on.
        folds: parts of the training images, each of which judges the trainings of another seed; 0
            where the validation images judge all.
    """

    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    up_to: Mapping[str, int] | None = None
    folds: int = 0

    def trials(self) -> Iterator[tuple[Arm, int]]:
        """All arms for each seed in turn, so that an interrupted study is balanced."""
        return (
            (arm, seed)
            for number, seed in enumerate(self.seeds)
            for arm in self.arms
            if self.up_to is None or number < self.up_to.get(arm.name, 0)
        )

    def unique_keys(self) -> set[str]:
        """What is tried only once in a study, of all trials."""
        return {
            unique_key(arm.network.key, arm.name, (seed,), self.fold(seed))
            for arm, seed in self.trials()
        }

    def fold(self, seed: int) -> Fold | None:
        """Which images judge the trainings with a seed: those of all arms, so they are paired."""
        return Fold(self.seeds.index(seed), self.folds) if self.folds else None

    def __len__(self) -> int:
        return sum(1 for _ in self.trials())

    @property
    def in_words(self) -> str:
        """``9 arms with 4 seeds``."""
        if self.up_to is None:
            return f"{len(self.arms)} arms with {len(self.seeds)} seeds"
        most = max(self.up_to.values())
        return f"{len(self)} trainings of {len(self.arms)} arms, up to {most} seeds"


def unique_key(
    architecture_key: str, arm: str = "", seeds: Sequence[int] = (), fold: Fold | None = None
) -> str:
    """What is tried only once in a study: an architecture, or in a design an arm with its seed.

    Judged by other images it is something else.
    """
    if not arm:
        return architecture_key
    judged = f" / part {fold.number} of {fold.parts}" if fold else ""
    return f"{arm} / {architecture_key} / {seeds[0]}{judged}"


def design_seeds(study: str, study_seed: int, stage: str, count: int) -> tuple[int, ...]:
    """Seeds of a stage: of the study and the stage, whatever the arms are.

    Another study has other ones, so that what was seen in one cannot be planned in the next. They
    have 32 bits, for PyTorch's generator for CPUs takes no more.
    """
    texts = (f"{study}/{study_seed}/{stage}/{replicate}" for replicate in range(count))
    return tuple(int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) for text in texts)


def arms_of(
    space: SearchSpace,
    measure: Callable[[Architecture], float] | None = None,
    solved: Sequence[Arm] = (),
) -> tuple[Arm, ...]:
    """Every different architecture of a space, and the controls where the design has them.

    Args:
        measure: latency of a network in milliseconds, where latencies are to be equal.
        solved: arms of the same space that are known already. A latency that is measured again is
            another one, so their widths are not solved again.

    Raises:
        ArchitectureError: an arm is outside the budget, or no widths give it the cost.
    """
    known = {arm.name: arm for arm in solved}
    arms: dict[str, Arm] = {}
    for combination, architecture in space.architectures:
        if isinstance(architecture, ArchitectureError):
            raise architecture
        name = space.name_of(combination)
        arm = known.get(name) or _arm(space, name, combination, architecture, measure)
        arms.setdefault(arm.architecture.key, arm)
    found, published = tuple(arms.values()), tuple(_published(space, known, measure))
    design = space.file.design
    if design is None or not design.controls:
        return found + published
    controls = controls_of(found)
    return found + published + (controls[:1] if design.is_race else controls)


def _published(
    space: SearchSpace,
    known: Mapping[str, Arm],
    measure: Callable[[Architecture], float] | None,
) -> Iterator[Arm]:
    """The published networks among a design's arms."""
    for name, network in published_arms(space):
        if name in known:
            yield known[name]
        else:
            architecture, latency_ms = _of_latency(space, name, network, measure)
            yield Arm(name, architecture, "published", latency_ms=latency_ms)


def _arm(
    space: SearchSpace,
    name: str,
    combination: Mapping[str, Choice],
    architecture: Architecture,
    measure: Callable[[Architecture], float] | None,
) -> Arm:
    architecture, latency_ms = _of_latency(space, name, architecture, measure)
    drawn = {p.name: combination[p.name] for p in space.parameters if p.name in combination}
    return Arm(name, architecture, role_of(architecture), choices=drawn, latency_ms=latency_ms)


def _of_latency(
    space: SearchSpace,
    name: str,
    architecture: Architecture,
    measure: Callable[[Architecture], float] | None,
) -> tuple[Architecture, float | None]:
    """A network of the latency that all have, with what it is; itself where none is matched."""
    matched = space.file.matched
    if matched is None or not matched.latency_ms or measure is None:
        return architecture, None
    try:
        return match_latency(architecture, matched.latency_ms, matched.tolerance, measure)
    except MatchError as error:
        raise MatchError(f"the arm {name}: {error}") from None


def role_of(architecture: Architecture) -> Role:
    """The role that an architecture has in a design, unless it is a control."""
    return "end" if is_end(architecture) else "interior"


def controls_of(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """Twins of an end and of an interior point, and a handicapped copy of the first arm.

    A twin is the same network, trained on the same images in the same order from other weights:
    what is between it and its original is what chance alone puts between two arms.
    """
    ends = [arm for arm in arms if arm.role == "end"]
    interior = [arm for arm in arms if arm.role == "interior"]
    originals = [*ends[:1], *interior[len(interior) // 2 :][:1]]
    twins = (
        replace(arm, name=f"twin of {arm.name}", role="twin", control_of=arm.name)
        for arm in originals
    )
    first = arms[0]
    handicapped = replace(
        first, name=f"handicapped {first.name}", role="handicapped", control_of=first.name
    )
    return (*twins, handicapped)


_ARMS = TypeAdapter(tuple[Arm, ...])


def arms_to_json(arms: Sequence[Arm]) -> str:
    """Arms as the study's database keeps them."""
    return _ARMS.dump_json(tuple(arms), by_alias=True).decode()


def arms_from_json(text: str) -> tuple[Arm, ...]:
    """What `arms_to_json` wrote.

    Raises:
        JsonError: it is something else.
    """
    return validated(_ARMS, text)
