"""What a search-space file may say (see ``docs/search-space.md``), as pydantic models.

The models are strict: no value is converted to another type, and lists arrive as tuples.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    create_model,
    field_serializer,
    field_validator,
    model_validator,
)

from nas.architecture.specification import MAX_BLOCKS, Activation, Downsample, Order
from nas.space.axes import AXES
from nas.space.block_frame import BlockFrame
from nas.space.claim_section import ClaimSection
from nas.space.confirm_section import AUTO_SEEDS, Confirm, ConfirmSection
from nas.space.data_section import DataSection
from nas.space.design_section import DesignSection
from nas.space.fidelity_section import Epochs, FidelitySection
from nas.space.match_section import MatchSection
from nas.space.objectives import COUNTED, MAXIMIZED, MINIMIZED, MOST_MINIMIZED, OBJECTIVES
from nas.space.published_names import PublishedOrReference
from nas.space.section import Section
from nas.space.tune_section import TuneSection
from nas.space.value_types import (
    Choices,
    Count,
    Fraction,
    Milliseconds,
    Name,
    NonNegative,
    Stride,
    Widths,
    distinct,
    listed,
)
from trials.data import DataConfig
from trials.recipe import RECIPES, Precision, Recipe

if TYPE_CHECKING:

    class Axes(Section):
        """For the type checker: the axes that are read as attributes; the model has all."""

        order: tuple[Order, ...] | None = None
        activation: tuple[Activation, ...] | None = None
else:
    Axes = create_model(
        "Axes",
        __base__=Section,
        __doc__="Choices for the blocks; an axis that is not named is not searched.",
        **{name: (axis.choices | None, None) for name, axis in AXES.items()},
    )


class SearchSection(Axes):
    """Axes of all blocks."""

    scope: Literal["block", "network"] = "block"


class StemSection(Section):
    """The regular convolutions before the blocks."""

    channels: Widths
    stride: Stride = 1
    kernel: Literal[3, 5, 7] = 3


class BlockSection(Axes):
    """One block, or several equal ones; axes named here replace those of ``search``."""

    channels: Widths
    convs: Annotated[int, Field(ge=1, le=64)] | None = None
    stride: Stride = 1
    downsample: Downsample = "max_pool"
    repeat: Annotated[int, Field(ge=1, le=256)] = 1

    @model_validator(mode="after")
    def _one_count(self) -> BlockSection:
        if self.convs and len(self.channels) not in (1, self.convs):
            raise ValueError(f"{self.convs} convs have {len(self.channels)} channels")
        return self

    @property
    def convolution_channels(self) -> tuple[int, ...]:
        """Output channels of each convolution."""
        if len(self.channels) == 1:
            return self.channels * (self.convs or 1)
        return self.channels

    def frame(self, in_channels: int, search: SearchSection) -> BlockFrame:
        """What this fixes of a block that receives so many channels."""
        orders = self.order or search.order
        return BlockFrame(
            in_channels,
            self.convolution_channels,
            self.stride,
            self.downsample,
            orders or (str(AXES["order"].default),),
        )


class NetworkSection(Section):
    """What is the same in every architecture.

    Attributes:
        dims: of its convolutions, 2 for images and 3 for clips: which the data has, whether it is
            said here or not.
    """

    dims: Literal[2, 3] | None = None
    stem: StemSection
    blocks: Annotated[tuple[BlockSection, ...], Field(min_length=1, max_length=256)]

    @field_validator("blocks")
    @classmethod
    def _not_too_many(cls, blocks: tuple[BlockSection, ...]) -> tuple[BlockSection, ...]:
        count = sum(block.repeat for block in blocks)
        if count > MAX_BLOCKS:
            raise ValueError(
                f"a network has at most {MAX_BLOCKS} blocks, with repeats; got {count}"
            )
        return blocks


class MacsSection(Section):
    """A bound that architectures are rejected above, or a cost that widths are solved for."""

    at_most: Count | None = None
    match: Count | None = None
    tolerance: Fraction = 0.01

    @field_validator("tolerance")
    @classmethod
    def _of_match(cls, tolerance: float, info: ValidationInfo) -> float:
        if info.data.get("at_most") is not None and info.data.get("match") is None:
            raise ValueError("at_most has no tolerance; it is how far match may be missed")
        return tolerance

    @model_validator(mode="after")
    def _one_of_two(self) -> MacsSection:
        if (self.at_most is None) == (self.match is None):
            raise ValueError("expected one of at_most and match")
        return self


class ParamsSection(Section):
    """A bound that architectures are rejected above."""

    at_most: Count


class LatencySection(Section):
    """A bound that architectures are rejected above: measured before they would be trained."""

    at_most: Milliseconds


class TrainingSection(Section):
    """A recipe by name, and what of it is different here."""

    recipe: Literal[tuple(RECIPES)] = "proxy"  # type: ignore[valid-type]  # the names of RECIPES
    epochs: Epochs | None = None
    batch_size: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1e6)] | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    weight_decay: NonNegative | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    crop: Annotated[int, Field(ge=0, le=64)] | None = None
    flip: bool | None = None
    class_weights: Literal["balanced"] | None = None
    precision: Precision | None = None
    graph: Literal["auto", "off"] | None = None

    @property
    def full_recipe(self) -> Recipe:
        """The recipe with the file's changes."""
        return self.changed(RECIPES[self.recipe])

    def changed(self, recipe: Recipe) -> Recipe:
        """A recipe with the file's changes; without momentum there is no Nesterov momentum."""
        changes = self.model_dump(exclude={"recipe"}, exclude_none=True)
        recipe = replace(recipe, **changes)
        return replace(recipe, nesterov=recipe.nesterov and recipe.momentum > 0)


Minimized = Annotated[
    tuple[Literal[MINIMIZED], ...],  # type: ignore[valid-type]  # the names that are registered
    Field(max_length=MOST_MINIMIZED),
    BeforeValidator(listed),
    AfterValidator(distinct),
]


class ObjectivesSection(Section):
    """What a front is made of: accuracy, and one cost or two."""

    maximize: Literal[MAXIMIZED] = "accuracy"  # type: ignore[valid-type]  # as registered
    minimize: Minimized | None = None

    @field_serializer("minimize")
    def _as_written(self, minimize: tuple[str, ...] | None) -> object:
        """One cost by its name: so it was kept when there could be no more."""
        return minimize[0] if minimize and len(minimize) == 1 else minimize


class StudySection(Section):
    """How many trials, and who proposes them."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)] = 48
    sampler: Literal["tpe", "nsga2", "nsga3", "gp", "random", "grid"] = "tpe"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    seeds_per_trial: Annotated[int, Field(ge=1, le=1000)] = 1
    fidelity: FidelitySection | None = None
    warm: Literal["shared"] | None = None


class ResourcesSection(Section):
    """What each trial needs of the cluster."""

    cpus_per_trial: Annotated[float, Field(gt=0, le=1024)] = 1.0
    gpus_per_trial: Annotated[float, Field(ge=0, le=64)] = 0.0

    @property
    def threads(self) -> int:
        """PyTorch's threads in each worker: one for each whole core of a trial."""
        return max(1, int(self.cpus_per_trial))


class SpaceFile(Section):
    """A whole file."""

    name: Name
    data: DataSection
    network: NetworkSection
    search: SearchSection = SearchSection()
    macs: MacsSection | None = None
    params: ParamsSection | None = None
    latency_ms: LatencySection | None = None
    training: TrainingSection = TrainingSection()
    objectives: ObjectivesSection | None = None
    match: MatchSection | None = None
    study: StudySection = StudySection()
    design: DesignSection | None = None
    tune: TuneSection | None = None
    confirm: Confirm = None
    claim: ClaimSection = ClaimSection()
    references: Choices[PublishedOrReference] | None = None
    resources: ResourcesSection = ResourcesSection()

    @property
    def limits(self) -> dict[str, int]:
        """Costs that are counted, and that architectures are rejected above when they are drawn."""
        sections = {"macs": self.macs, "params": self.params}
        return {name: s.at_most for name, s in sections.items() if s and s.at_most is not None}

    @property
    def data_config(self) -> DataConfig:
        """The images; where the claim is judged on half of those that validate, that half apart."""
        half = f"{self.name}/{self.study.seed}" if self.claim.on == "half" else None
        return replace(self.data.config, half=half)

    @property
    def matched(self) -> MatchSection | None:
        """The cost that widths are solved for; ``macs: {match: 2M}`` is ``match: {macs: 2M}``."""
        if self.macs and self.macs.match:
            return MatchSection(macs=(self.macs.match,), tolerance=self.macs.tolerance)
        return self.match

    @property
    def budget_names(self) -> tuple[str, ...]:
        """Of a design of several budgets, such as ``500K``; none of any other study."""
        return self.match.budget_names if self.match is not None else ()

    @property
    def fresh_seeds(self) -> int:
        """Seeds that each confirmed network is trained with; 0 where nothing is confirmed."""
        if isinstance(self.confirm, ConfirmSection):
            return self.confirm.seeds
        return AUTO_SEEDS if self.confirm == "auto" and self.design is None else 0

    @property
    def reads_test_split(self) -> bool:
        """Whether confirmed networks are evaluated on the test split, too: where a file says so."""
        return isinstance(self.confirm, ConfirmSection)

    @property
    def times_networks(self) -> bool:
        """Whether results depend on how fast the machine is."""
        matched = (self.matched.cost,) if self.matched is not None else ()
        limited = ("latency_ms",) if self.latency_ms is not None else ()
        names = (*matched, *limited, *self.objective_names)
        return any(OBJECTIVES[name].of_machine for name in names)

    def times_trials(self, searched: bool) -> bool:
        """Whether each trial has to measure how fast the machine is, whoever has trained it."""
        limited = searched and self.latency_ms is not None
        return limited or any(OBJECTIVES[name].of_machine for name in self.objective_names)

    @property
    def objective_names(self) -> tuple[str, ...]:
        """What is maximized, then one cost that is minimized, two or none.

        MACs are minimized unless the file says otherwise or makes the costs equal.
        """
        if self.objectives is None:
            return ("accuracy",) if self.matched else ("accuracy", "macs")
        return (self.objectives.maximize, *(self.objectives.minimize or ()))

    @property
    def counted_costs(self) -> tuple[str, ...]:
        """The minimized costs that are known without running a network; MACs where none is."""
        return tuple(name for name in self.objective_names if name in COUNTED) or ("macs",)
