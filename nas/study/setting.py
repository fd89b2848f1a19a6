"""What an arm has of its own: what was best of all that was tried for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log2
from typing import Annotated

from pydantic import Field, TypeAdapter

from nas.architecture.modules import Activation
from nas.architecture.specification import Architecture
from nas.space.axes import AXES
from nas.space.quantities import in_multiples
from trials.bounded_json import validated
from trials.recipe import Recipe

_Multiple = Annotated[float, Field(gt=0, allow_inf_nan=False)] | None


@dataclass(frozen=True)
class Setting:
    """The choices of an arm; of one that was not tuned all are None.

    Attributes:
        learning_rate: a multiple of the recipe's.
        weight_decay: a multiple of the recipe's.
        activation: between the two steps of its convolutions; None also where it has only one.
    """

    learning_rate: _Multiple = None
    weight_decay: _Multiple = None
    activation: Activation | None = None

    def recipe(self, recipe: Recipe) -> Recipe:
        """A recipe with the chosen multiples."""
        return replace(
            recipe,
            learning_rate=recipe.learning_rate * (self.learning_rate or 1),
            weight_decay=recipe.weight_decay * (self.weight_decay or 1),
        )

    def network(self, architecture: Architecture) -> Architecture:
        """A network with the chosen activation; it costs the same."""
        if self.activation is None:
            return architecture
        blocks = tuple(
            replace(block, point=replace(block.point, activation=self.activation))
            if AXES["activation"].has_effect(block.point.order)
            else block
            for block in architecture.blocks
        )
        return replace(architecture, blocks=blocks)

    @property
    def distance(self) -> float:
        """How far from the recipe, in doublings and halvings."""
        return sum(abs(log2(m)) for m in (self.learning_rate, self.weight_decay) if m is not None)

    def __str__(self) -> str:
        """In words: ``learning rate 2x, relu``; empty where nothing was chosen."""
        words = []
        if self.learning_rate is not None:
            words.append(f"learning rate {in_multiples(self.learning_rate)}")
        if self.weight_decay is not None:
            words.append(f"weight decay {in_multiples(self.weight_decay)}")
        if self.activation is not None:
            words.append(AXES["activation"].in_words(self.activation))
        return ", ".join(words)


NOT_TUNED = Setting()

_SETTING = TypeAdapter(Setting)


def setting_to_json(setting: Setting) -> str:
    """What was chosen of a setting; empty where nothing was."""
    return "" if setting == NOT_TUNED else _SETTING.dump_json(setting, exclude_none=True).decode()


def setting_from_json(text: object) -> Setting:
    """What `setting_to_json` wrote.

    Raises:
        JsonError: it is something else.
    """
    return validated(_SETTING, text) if text else NOT_TUNED
