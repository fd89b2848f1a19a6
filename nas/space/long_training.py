"""What decides a training of one network, said on the command line: its data and its recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from nas.architecture.reference import Reference
from nas.architecture.references import with_options
from nas.architecture.specification import Architecture
from nas.space.data_section import DataSection
from nas.space.errors import InputError, Path
from nas.space.schema import TrainingSection
from nas.space.section import Section
from nas.space.sections import valid_sections
from nas.space.yaml_document import Document, assign, override
from trials.data import DataConfig, ImageData, Resize
from trials.data.sources import CLIPS, PICTURES, RESIZED
from trials.recipe import Recipe


class LongTrainingSection(TrainingSection):
    """With what only a single long training has.

    Attributes:
        resized_crop, mixup: see `trials.recipe.Recipe`.
    """

    resized_crop: Annotated[float, Field(ge=0, le=1)] | None = None
    mixup: Annotated[float, Field(ge=0, le=100)] | None = None


class LongTrainingFile(Section):
    """What would be said in a file.

    Attributes:
        data: none where it is that of a study.
        training: what of a recipe is named; the rest is that of the recipe.
    """

    data: DataSection | None = None
    training: LongTrainingSection = LongTrainingSection()


def long_training(
    options: Mapping[str, tuple[Path, object]], overrides: Sequence[str] = ()
) -> LongTrainingFile:
    """Read what is given on a command line.

    Args:
        options: the path and the value that an option stands for, by its name; None is not given.
        overrides: assignments such as ``training.batch_size=64``, as given to ``--set``.

    Raises:
        InputError: everything that is wrong, each with its option.
    """
    document = Document("--set", value={})
    for option, (path, value) in options.items():
        if value is not None:
            assign(document, path, value, option)
    for assignment in overrides:
        override(document, assignment)
    if isinstance(data := document.value.get("data"), dict) and "source" not in data:
        document.add_problem(("data",), "data.source is missing", "name the images with --data")
        del document.value["data"]
    sections = valid_sections(document, LongTrainingFile)
    if document.problems:
        raise InputError(document.problems)
    return LongTrainingFile(**sections)


def fitting(
    config: DataConfig, architecture: Architecture | Reference, recipe: Recipe
) -> DataConfig:
    """The data as the network takes it: pictures are resized, and cut, to its size.

    Those that are more than memory is to hold are decoded at each step, and all where random parts
    of them are wanted.

    Raises:
        InputError: the network takes clips, which these are not, or images, and these are clips; or
            parts are wanted of what are no pictures.
    """
    height, width = architecture.input_shape[-2:]
    kind = config.source.partition(":")[0]
    _check_dims(config.source, kind, architecture.input_shape)
    if recipe.resized_crop and kind not in PICTURES:
        rule = f"only pictures are cropped and resized: {', '.join(PICTURES)}; got {config.source}"
        raise InputError.of("training.resized_crop", rule, "training.crop is of any images")
    memory = 0 if recipe.resized_crop else config.memory
    config = replace(config, stream=memory is not None, memory=memory)
    if kind in RESIZED and config.resize is None:
        config = replace(config, resize=Resize((height, width)))
    if kind in (*RESIZED, "synthetic") and config.shape is None:
        config = replace(config, shape=architecture.input_shape)
    return config


def _check_dims(source: str, kind: str, input_shape: tuple[int, ...]) -> None:
    """Refuse data of which it is certain, unread, that it has other axes than the network takes."""
    shape = " x ".join(map(str, input_shape))
    if kind in (*PICTURES, "synthetic") and len(input_shape) == 4:
        rule = f"the network takes clips of {shape} (channels, frames, height, width)"
        raise InputError.of("--data", f"{rule}; got {source}", CLIPS)
    if kind == "frames" and len(input_shape) == 3:
        rule = f"the network takes images of {shape} (channels, height, width)"
        hint = "images:DIR reads each picture by itself"
        raise InputError.of("--data", f"{rule}; got {source}", hint)


def fitted(
    architecture: Architecture | Reference, data: ImageData, any_classes: bool
) -> Architecture | Reference:
    """The network for the classes of the data.

    Args:
        any_classes: it may be given another number of outputs.

    Raises:
        InputError: it takes other images, or has other outputs.
    """
    classes = len(data.classes)
    if data.input_shape != architecture.input_shape:
        shapes = (" x ".join(map(str, s)) for s in (architecture.input_shape, data.input_shape))
        message = "the network takes images of {}, and these are {} (channels, {}height, width)"
        clips = 4 in (len(data.input_shape), len(architecture.input_shape))
        frames = "frames of clips, " if clips else ""
        raise InputError.of("--data", message.format(*shapes, frames))
    if any_classes:
        if isinstance(architecture, Reference):
            return with_options(architecture, classes=classes)
        return replace(architecture, classes=classes)
    if architecture.classes != classes:
        counts = f"the network has {architecture.classes} classes, and the images have {classes}"
        raise InputError.of("--data", counts)
    return architecture
