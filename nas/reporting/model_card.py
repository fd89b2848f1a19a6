"""The model card: what a network is, how good it is, and how to use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nas.architecture.cost import Cost, count_cost
from nas.architecture.description import describe_block
from nas.architecture.specification import Architecture
from nas.network.ptflops import compare_with_ptflops
from nas.network.source import Provenance
from nas.space.quantities import format_count
from nas.space.schema import TrainingSection
from nas.study.records import Records, TrialRecord
from trials.recipe import Recipe


@dataclass(frozen=True)
class Trained:
    """How exported weights came about, and how good they are.

    Attributes:
        recipe: that was really used.
        accuracy: on the validation split; of several seeds their mean.
        seeds: how many there were; the weights are those of the first.
    """

    recipe: Recipe
    accuracy: float
    seeds: int = 1

    @property
    def shown_accuracy(self) -> str:
        """The accuracy, and what it is of where that is not these weights."""
        mean = f" (mean of {self.seeds} seeds; these weights: the first)" if self.seeds > 1 else ""
        return f"{self.accuracy:.4f}{mean}"


def provenance_of(records: Records, record: TrialRecord, trained: Trained) -> Provenance:
    """What the exported source says of a trial's network."""
    cost = count_cost(record.architecture)
    epochs, accuracy = trained.recipe.epochs, trained.shown_accuracy
    return Provenance(
        title=f"Trial {record.number} of the architecture search {records.name!r}",
        summary=(
            f"{cost.macs:,} multiply-accumulates, {cost.params:,} parameters.",
            f"Trained for {epochs} epochs: validation accuracy {accuracy}.",
        ),
        classes=records.data.classes,
        mean=records.data.mean,
        std=records.data.std,
    )


def model_card(records: Records, record: TrialRecord, trained: Trained) -> str:
    """Markdown."""
    architecture = record.architecture
    cost = count_cost(architecture)
    source = _escaped(records.document.get("data", {}).get("source", "unknown"))
    classes = [_escaped(name) for name in records.data.classes[:20]]
    channels, height, width = architecture.input_shape
    train_images, validation_images = records.data.images
    usual = TrainingSection.model_validate(records.document.get("training", {})).full_recipe
    # Of a network that was trained otherwise the confirmation says nothing.
    confirmed = records.confirmation_of(record) if trained.recipe == usual else None
    return f"""# Trial {record.number} of {_escaped(records.name)}

A convolutional network found by a search over the separability spectrum: between regular
convolutions (one channel segment) and depthwise separable ones (a segment for each channel).

| | |
|---|---|
| accuracy on the validation split | {trained.shown_accuracy} |
{_confirmed(confirmed)}| multiply-accumulates (MACs) of an image | {_macs(cost)} |
| counted on the built network | {compare_with_ptflops(architecture)} |
| parameters | {cost.params:,} |
| input | {channels} x {height} x {width}, normalised by the training images |
| classes | {", ".join(classes)}{" ..." if architecture.classes > 20 else ""} |
| data | {source}, fingerprint {records.data.fingerprint} |
| images | {train_images:,} to train, {validation_images:,} to validate |
| training | {", ".join(_training(trained.recipe))} |
| architecture key | {architecture.key} |

The validation split was also used to choose this network among {len(records.complete)}, so its
accuracy on it is somewhat too high. {_use_of_test(confirmed)}

## Blocks

{_blocks(architecture)}

## Use

Needs PyTorch, and no other file than these.

```python
import torch
from model import CLASSES, load, preprocess

network = load()
images = torch.zeros(1, {height}, {width}, {channels}, dtype=torch.uint8)  # (N, H, W, C)
print(CLASSES[network(preprocess(images)).argmax()])
```
"""


def _confirmed(arm: TrialRecord | None) -> str:
    """A row for the trainings on fresh seeds, which say more than those that chose the network."""
    if arm is None or arm.accuracy is None:
        return ""
    test = "" if arm.test_accuracy is None else f", {arm.test_accuracy:.4f} on the test split"
    return (
        f"| trained again with {len(arm.seeds)} fresh seeds, mean | {arm.accuracy:.4f} on the "
        f"validation split{test} |\n"
    )


def _use_of_test(confirmed: TrialRecord | None) -> str:
    if confirmed is None or confirmed.test_accuracy is None:
        return "The test split has not been used."
    return "The test split was used for nothing but the accuracy above."


def _blocks(architecture: Architecture) -> str:
    blocks = (
        f"1. {describe_block(block, in_channels)}, stride {block.stride}"
        for block, in_channels in architecture.blocks_with_input()
    )
    stem = ", ".join(map(str, architecture.stem.channels))
    return "\n".join((f"1. stem: {stem} channels", *blocks))


def _training(recipe: Recipe) -> Iterator[str]:
    """A recipe in words; what is off is left out."""
    yield f"{recipe.name} recipe"
    yield f"{recipe.epochs} epochs"
    yield f"batches of {recipe.batch_size}"
    nesterov = "Nesterov " if recipe.nesterov else ""
    yield f"{recipe.optimizer} with {nesterov}momentum {recipe.momentum:g}"
    yield f"learning rate {recipe.learning_rate:g} {_schedule(recipe)}"
    for name in ("weight_decay", "label_smoothing", "dropout", "polyak", "crop"):
        if value := getattr(recipe, name):
            yield f"{name.replace('_', ' ')} {value:g}"
    if recipe.flip:
        yield "flips"


def _schedule(recipe: Recipe) -> str:
    if recipe.schedule == "one_cycle":
        return f"in one cycle, warm-up {recipe.warmup:.0%}"
    images = f"{recipe.decay_images:,} images"
    interval = images if recipe.decay_images else f"{recipe.decay_epochs:g} epochs"
    return f"times {recipe.decay:g} every {interval}"


def _escaped(text: str) -> str:
    """Text of the data's makers, as a cell of a table: on one line, and nothing in it is markup."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return re.sub(r"([\\`*_\[\]<>|&~$])", r"\\\1", line)


def _macs(cost: Cost) -> str:
    return f"{cost.macs:,} ({format_count(cost.flops)} FLOPs)"
