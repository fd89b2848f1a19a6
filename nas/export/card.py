"""The model card: what a network is, how good it is, and how to use it."""

from __future__ import annotations

from nas.architecture import Architecture
from nas.cost import Cost, count_cost
from nas.export.source import Provenance
from nas.space.quantities import format_count
from nas.spoken import describe_block
from nas.study import Records, TrialRecord


def provenance_of(records: Records, record: TrialRecord) -> Provenance:
    """What the exported source says of a trial's network."""
    cost = count_cost(record.architecture)
    return Provenance(
        title=f"Trial {record.number} of the architecture search {records.name!r}",
        summary=(
            f"{cost.macs:,} multiply-accumulates, {cost.params:,} parameters, "
            f"validation accuracy {record.accuracy:.4f}.",
        ),
        classes=records.data.classes,
        mean=records.data.mean,
        std=records.data.std,
    )


def model_card(records: Records, record: TrialRecord, accuracy: float | None = None) -> str:
    """Markdown.

    Args:
        accuracy: on the validation split; that of the trial unless it was trained anew.
    """
    architecture = record.architecture
    cost = count_cost(architecture)
    training = records.document.get("training", {})
    source = records.document.get("data", {}).get("source", "unknown")
    channels, height, width = architecture.input_shape
    train_images, validation_images = records.data.images
    return f"""# Trial {record.number} of {records.name}

A convolutional network found by a search over the separability spectrum: between regular
convolutions (one channel segment) and depthwise separable ones (a segment for each channel).

| | |
|---|---|
| accuracy on the validation split | {accuracy or record.accuracy:.4f} |
| multiply-accumulates (MACs) of an image | {cost.macs:,} ({_flops(cost)} FLOPs) |
| parameters | {cost.params:,} |
| input | {channels} x {height} x {width}, normalised by the training images |
| classes | {", ".join(records.data.classes[:20])}{" ..." if architecture.classes > 20 else ""} |
| data | {source}, fingerprint {records.data.fingerprint} |
| images | {train_images:,} to train, {validation_images:,} to validate |
| training | {", ".join(f"{name} {value}" for name, value in training.items()) or "proxy recipe"} |
| architecture key | {architecture.key} |

The validation split was also used to choose this network among {len(records.complete)}, so its
accuracy on it is somewhat too high. The test split has not been used.

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


def _blocks(architecture: Architecture) -> str:
    lines = [f"1. stem: {', '.join(map(str, architecture.stem.channels))} channels"]
    for block, in_channels in architecture.blocks_with_input():
        shortcut = "with a shortcut" if block.residual else "without a shortcut"
        lines.append(
            f"1. {block.channels[-1]} channels, stride {block.stride}, {shortcut}: "
            f"{describe_block(block, in_channels)}"
        )
    return "\n".join(lines)


def _flops(cost: Cost) -> str:
    return format_count(cost.flops)
