"""The model card of a network that no study has found, and what its source says of it."""

from __future__ import annotations

from nas.architecture.cost import count_cost
from nas.engine.long_training import LongTraining
from nas.network.ptflops import compare_with_ptflops
from nas.network.source import Provenance
from nas.reporting.model_card import Trained, blocks_in_words, recipe_in_words
from nas.reporting.rendering import render_markdown
from nas.space.objectives import OBJECTIVES, score_of_data
from nas.space.quantities import format_count


def training_provenance(name: str, job: LongTraining, trained: Trained) -> Provenance:
    """What the exported source says of a network that was trained by itself."""
    cost = count_cost(job.architecture)
    title = OBJECTIVES[score_of_data(job.data.many_labels)].title
    return Provenance(
        title=name,
        summary=(
            f"{cost.macs:,} multiply-accumulates, {cost.params:,} parameters.",
            f"Trained for {trained.recipe.epochs} epochs: {title} {trained.shown_score}.",
        ),
        classes=job.data.classes,
        mean=job.data.mean,
        std=job.data.std,
        resize=job.config.resize.mode if job.config.resize else None,
        many_labels=job.data.many_labels,
    )


def training_card(name: str, job: LongTraining, trained: Trained) -> str:
    """Markdown."""
    architecture, summary = job.architecture, job.data.summary
    cost = count_cost(architecture)
    return render_markdown(
        "training_card.md.j2",
        name=name,
        trained=trained,
        architecture=architecture,
        cost=cost,
        flops=format_count(cost.flops),
        counted=compare_with_ptflops(architecture),
        score=OBJECTIVES[score_of_data(job.data.many_labels)].noun,
        classes=summary.classes,
        source=job.config.source,
        fingerprint=summary.fingerprint,
        images=summary.images,
        training=recipe_in_words(trained.recipe),
        seed=job.seed,
        device=_device(job),
        blocks=list(blocks_in_words(architecture)),
        many_labels=job.data.many_labels,
    )


def _device(job: LongTraining) -> str:
    if job.device.type == "cuda":
        return "a GPU" if job.devices == 1 else f"{job.devices} GPUs"
    if job.devices > 1:
        threads = "one thread" if job.threads == 1 else f"{job.threads} threads"
        return f"a CPU, by {job.devices} processes of {threads}"
    return "one CPU thread" if job.threads == 1 else f"{job.threads} CPU threads"
