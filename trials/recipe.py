"""How a network is trained: everything that changes its result, and nothing else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Precision = Literal["float32", "bfloat16"]

LATER = "clip", "resized_crop", "mixup", "warm_start"
"""Fields that studies and databases of earlier versions have not: off they count for nothing."""


@dataclass(frozen=True)
class Recipe:
    """A training schedule.

    Attributes:
        name: of the recipe that this one was derived from.
        optimizer: SGD with Nesterov momentum where ``nesterov``, or RMSprop.
        learning_rate: its highest value.
        momentum: of either optimizer.
        weight_decay: on weights of two or more dimensions; never on norms and biases.
        label_smoothing: of the cross-entropy.
        schedule: ``one_cycle`` rises linearly over the first ``warmup`` of all steps and falls
            linearly to exactly zero at the last; ``step`` multiplies by ``decay`` every
            ``decay_epochs`` epochs or, where given, every ``decay_images`` images.
        dropout: before the linear layer.
        polyak: decay of the averaged weights that are evaluated; 0 evaluates the last weights.
        crop: pixels of zero padding before a random crop to the image's size.
        flip: random horizontal flips.
        class_weights: ``balanced`` weighs the loss by one over the images of each class.
        initialisation: which stream of random numbers of the seed the weights are drawn from; the
            order of the images and the augmentation are the same in all.
        precision: of convolutions and linear layers; None is bfloat16 on GPUs that have it, and
            float32 elsewhere.
        graph: ``auto`` replays the steps of a GPU as a CUDA graph: the same kernels, at once.
        clip: the largest norm of all gradients of a step together, which are scaled down to it; 0
            leaves them as they are.
        resized_crop: the smallest share of a picture that a random crop of it takes, which is
            resized to the network's size; 0 takes none. Of pictures that are decoded at each step.
        mixup: images and labels are mixed two by two, by shares from Beta(mixup, mixup); 0 mixes
            none.
        warm_start: SHA-256 of the weights that the first ones of a network are taken from; empty
            where those are drawn.
    """

    name: str
    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "rmsprop"] = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    schedule: Literal["one_cycle", "step"] = "step"
    warmup: float = 0.0
    decay: float = 1.0
    decay_epochs: float = 1.0
    decay_images: int = 0
    dropout: float = 0.0
    polyak: float = 0.0
    crop: int = 0
    flip: bool = False
    class_weights: Literal["balanced"] | None = None
    initialisation: int = 0
    precision: Precision | None = None
    graph: Literal["auto", "off"] = "auto"
    clip: float = 0.0
    resized_crop: float = 0.0
    mixup: float = 0.0
    warm_start: str = ""

    def learning_rate_at(self, step: int, total_steps: int, images_per_epoch: int) -> float:
        """Learning rate of a step, counted from zero.

        With ``one_cycle`` step ``total_steps``, the one after the last, has exactly zero.
        """
        if self.schedule == "one_cycle":
            rising = self.warmup * total_steps
            if step < rising:
                return self.learning_rate * (step + 1) / (rising + 1)
            return self.learning_rate * (total_steps - step) / (total_steps - rising)
        images = step * self.batch_size
        interval = self.decay_images or self.decay_epochs * images_per_epoch
        return self.learning_rate * self.decay ** int(images / interval)

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits over all that changes results but the epochs.

        What is off of the fields that recipes have got since the first ones counts for nothing, so
        that others change no key but theirs.
        """
        fields = {k: v for k, v in asdict(self).items() if k not in ("name", "epochs", "graph")}
        for name in ("initialisation", "class_weights", "precision", *LATER):
            if not fields[name]:
                del fields[name]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


RECIPES: dict[str, Recipe] = {
    # A short schedule annealed to its own budget ranks architectures better than a long one cut
    # off, so the proxy's one cycle always ends at the last step, however few epochs there are.
    "proxy": Recipe(
        name="proxy",
        epochs=8,
        batch_size=64,
        learning_rate=0.1,
        nesterov=True,
        weight_decay=5e-4,
        label_smoothing=0.1,
        schedule="one_cycle",
        warmup=0.2,
    ),
    # Chollet 2016, sections 4.2 and 4.3: ImageNet. The paper does not state them, so they are ours:
    # epochs, batches, flips and the decay of the average.
    "imagenet": Recipe(
        name="imagenet",
        epochs=100,
        batch_size=256,
        learning_rate=0.045,
        weight_decay=1e-5,
        decay=0.94,
        decay_epochs=2,
        dropout=0.5,
        polyak=0.9999,
        flip=True,
    ),
    # The same sections: JFT, with the weight decay of the ImageNet trainings and without dropout.
    # Ours are the same as above.
    "jft": Recipe(
        name="jft",
        epochs=100,
        batch_size=256,
        optimizer="rmsprop",
        learning_rate=0.001,
        weight_decay=1e-5,
        decay=0.9,
        decay_images=3_000_000,
        polyak=0.9999,
        flip=True,
    ),
    # Ours: one network trained for long. The average forgets within some hundred steps, for under
    # a schedule to zero one of longer memory lags behind.
    "final": Recipe(
        name="final",
        epochs=60,
        batch_size=128,
        learning_rate=0.2,
        nesterov=True,
        weight_decay=5e-4,
        label_smoothing=0.1,
        schedule="one_cycle",
        warmup=0.1,
        polyak=0.998,
        clip=5.0,
    ),
}


def recipe(name: str, **changes: Any) -> Recipe:  # noqa: ANN401  # the fields of Recipe
    """A recipe by name, with some of its fields changed.

    Raises:
        KeyError: no such recipe.
        TypeError: no such field.
    """
    return replace(RECIPES[name], **changes)
