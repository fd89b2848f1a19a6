"""The model card: what a network is, how good it is, and how to use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from nas.analysis.confirmed_front import ConfirmedFront
from nas.architecture.cost import count_cost
from nas.architecture.description import describe_block
from nas.architecture.reference import Reference
from nas.architecture.specification import Architecture
from nas.network.comparison import ExportedFile
from nas.network.formats import FORMATS
from nas.network.ptflops import compare_with_ptflops
from nas.network.source import Provenance
from nas.reporting.front_text import noise_in_words, tie_in_words, ties_in_words
from nas.reporting.rendering import render_markdown
from nas.space.objectives import OBJECTIVES
from nas.space.quantities import format_count
from nas.space.schema import ResourcesSection
from nas.study.records import Records
from nas.study.trained_network import recipe_as_trained, recipe_of
from nas.study.trial_record import TrialRecord
from trials.recipe import Recipe


@dataclass(frozen=True)
class Trained:
    """How exported weights came about, and how good they are.

    Attributes:
        recipe: that was really used.
        score: accuracy on the validation split, or mean average precision where images have many
            labels; of several seeds their mean.
        seeds: how many there were; the weights are those of the first.
        test: the score of these weights on the test split, where it was read once they were final.
    """

    recipe: Recipe
    score: float
    seeds: int = 1
    test: float | None = None

    @property
    def shown_score(self) -> str:
        """The score, and what it is of where that is not these weights."""
        mean = f" (mean of {self.seeds} seeds; these weights: the first)" if self.seeds > 1 else ""
        return f"{self.score:.4f}{mean}"


def provenance_of(records: Records, record: TrialRecord, trained: Trained) -> Provenance:
    """What the exported source says of a trial's network."""
    cost = count_cost(record.architecture)
    epochs, title = trained.recipe.epochs, OBJECTIVES[records.score].title
    return Provenance(
        title=f"Trial {record.number} of the architecture search {records.name!r}",
        summary=(
            f"{cost.macs:,} multiply-accumulates, {cost.params:,} parameters.",
            f"Trained for {epochs} epochs: {title} {trained.shown_score}.{_again(record)}",
        ),
        classes=records.data.classes,
        mean=records.data.mean,
        std=records.data.std,
        resize=records.file.data.resize.mode if records.file.data.resize else None,
        many_labels=records.data.many_labels,
    )


def _confirmed(records: Records, record: TrialRecord, trained: Trained) -> TrialRecord | None:
    """What fresh seeds gave; of a network that was trained otherwise they say nothing."""
    usual = replace(trained.recipe, warm_start="") == recipe_of(records, record)
    return records.confirmation_of(record) if usual else None


def _ranked(records: Records, record: TrialRecord, trained: Trained) -> TrialRecord | None:
    """Which training top-5 accuracy is of; None where these weights are of another."""
    as_trained = trained.recipe == recipe_as_trained(records, record)
    return _confirmed(records, record, trained) or (record if as_trained else None)


def _sureness(records: Records, record: TrialRecord) -> tuple[tuple[str, str], ...]:
    """What a confirmed search says of its point; nothing of an arm of a design."""
    found = ConfirmedFront.of(records)
    point = found.point(record.number) if found else None
    if found is None or point is None:
        return ()
    tie = f"; {ties_in_words(point)} within {tie_in_words(found)}" if point.ties else ""
    over = "seeds and images" if found.images.folds else "seeds"
    interval = f"95% interval {point.low:.4f} to {point.high:.4f} over {over}"
    among = " among the trials of fresh seeds" if found.is_warm else ""
    place = f"{point.place}, where it is with a probability of {point.probability:.2f}{among}"
    return (
        ("how sure that is", f"{interval}; {place}{tie}"),
        ("differences that are noise", noise_in_words(found)),
        *([("images of the fresh seeds", found.images.in_words)] if found.images.folds else []),
    )


def _again(record: TrialRecord) -> str:
    if record.searched is None:
        return ""
    return f" The mean of {len(record.seeds)} fresh seeds: {record.score:.4f}."


def model_card(
    records: Records,
    record: TrialRecord,
    trained: Trained,
    files: Sequence[ExportedFile] = (),
) -> str:
    """Markdown.

    Args:
        files: that were compared with the trained network.
    """
    architecture = record.architecture
    confirmed = _confirmed(records, record, trained)
    return render_markdown(
        "model_card.md.j2",
        records=records,
        record=record,
        trained=trained,
        files=files,
        notes={f.file: Markup(FORMATS[f.format].note) for f in files if f.format in FORMATS},
        by_class=list(_by_class(files, records.data.classes)),
        precisions=list(_precisions(files, records.data.classes)),
        score=OBJECTIVES[records.score].noun,
        confirmed=confirmed,
        ranked=_ranked(records, record, trained),
        raced_on_test=record.test_score if records.raced else None,
        sure=_sureness(records, record) if confirmed else (),
        architecture=architecture,
        cost=record.cost,
        flops=format_count(record.cost.flops),
        counted=compare_with_ptflops(architecture),
        device=_device(records.file.resources),
        training=recipe_in_words(trained.recipe),
        blocks=list(blocks_in_words(architecture)),
    )


def blocks_in_words(architecture: Architecture | Reference) -> Iterator[str]:
    """A line for each; none of a reference."""
    if isinstance(architecture, Reference):
        return
    for block, in_channels in architecture.blocks_with_input():
        yield f"{describe_block(block, in_channels, architecture.dims)}, stride {block.stride}"


MOST_CLASSES = 100
"""In the card's table; of more, those with the lowest accuracy."""


def _by_class(
    files: Sequence[ExportedFile], names: Sequence[str]
) -> Iterator[tuple[str, int, float, str]]:
    """Class, images, accuracy, and what it is most often taken for; the worst class first."""
    rows: list[tuple[str, int, float, str]] = []
    for name, counts in zip(names, files[0].confusion if files else (), strict=False):
        images, place = sum(counts), len(rows)
        mistakes = [count if other != place else 0 for other, count in enumerate(counts)]
        worst = max(range(len(counts)), key=mistakes.__getitem__)
        taken_for = f"{names[worst]} ({mistakes[worst]})" if mistakes[worst] else ""
        rows.append((name, images, counts[place] / images if images else 0.0, taken_for))
    yield from sorted((row for row in rows if row[1]), key=lambda row: row[2])[:MOST_CLASSES]


def _device(resources: ResourcesSection) -> str:
    if resources.gpus_per_trial:
        return "a GPU"
    return "one CPU thread" if resources.threads == 1 else f"{resources.threads} CPU threads"


def _precisions(
    files: Sequence[ExportedFile], names: Sequence[str]
) -> Iterator[tuple[str, int, float]]:
    """Class, images and average precision, where images have many labels; the worst class first."""
    rows = zip(names, files[0].precisions if files else (), strict=False)
    found = [(name, images, precision) for name, (images, precision) in rows if images]
    yield from sorted(found, key=lambda row: row[2])[:MOST_CLASSES]


_SHOWN = (
    *("weight_decay", "label_smoothing", "dropout", "clip", "polyak", "crop", "resized_crop"),
    "mixup",
)
"""Fields of a recipe that are off at 0."""


def recipe_in_words(recipe: Recipe) -> Iterator[str]:
    """A recipe in words; what is off is left out."""
    yield f"{recipe.name} recipe"
    yield f"{recipe.epochs} epochs"
    yield f"batches of {recipe.batch_size}"
    nesterov = "Nesterov " if recipe.nesterov else ""
    yield f"{recipe.optimizer} with {nesterov}momentum {recipe.momentum:g}"
    yield f"learning rate {recipe.learning_rate:g} {_schedule(recipe)}"
    for name in _SHOWN:
        if value := getattr(recipe, name):
            yield f"{name.replace('_', ' ')} {value:g}"
    if recipe.flip:
        yield "flips"
    if recipe.warm_start:
        yield "first weights from a shared network"
    if recipe.class_weights:
        yield f"{recipe.class_weights} class weights"
    if recipe.precision:
        yield recipe.precision


def _schedule(recipe: Recipe) -> str:
    if recipe.schedule == "one_cycle":
        return f"in one cycle, warm-up {recipe.warmup:.0%}"
    images = f"{recipe.decay_images:,} images"
    interval = images if recipe.decay_images else f"{recipe.decay_epochs:g} epochs"
    return f"times {recipe.decay:g} every {interval}"
