"""The images of a study, and what is wrong with them in the words of its file."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from nas.engine import terminal
from nas.space import SearchSpace
from nas.space.errors import InputError
from nas.space.shown_text import shown_line
from nas.space.space_checks import check_labels
from trials.data import (
    DataError,
    ImageData,
    Split,
    check_batch_size,
    check_test_split,
    load,
    load_test,
    missing_classes,
)
from trials.data.images import Images


class StudyData:
    """Reads the images of a space.

    Args:
        elsewhere: trials run on other machines.
        console: shows what takes long.
    """

    def __init__(self, space: SearchSpace, elsewhere: bool, console: Console) -> None:
        self.space, self.elsewhere, self.console = space, elsewhere, console

    def load(self) -> ImageData:
        """Training and validation images, checked; that there is a test split where one is needed.

        Raises:
            InputError: they cannot be used.
        """
        config = self.space.file.data_config
        self._check_precision()
        self._check_test_split()
        try:
            data = load(config, self._watch)
            check_batch_size(data, self.space.file.training.full_recipe.batch_size)
            if data.input_shape != self.space.input_shape:
                raise DataError(
                    f"the images have shape {list(data.input_shape)}, but the data set's first one "
                    f"has {list(self.space.input_shape)} (channels, height, width; of clips "
                    "frames before the height)"
                )
        except DataError as error:
            section = "training" if error.field == "batch_size" else "data"
            path = (section, error.field)
            raise self.space.document.error(path, str(error), error.hint) from None
        if data.many_labels:
            check_labels(self.space.document, self.space.file)
            if problems := self.space.document.problems:
                raise InputError(problems)
        return data

    def _check_test_split(self) -> None:
        """It is read long after the search has begun."""
        file = self.space.file
        try:
            if file.claim.on == "test":
                hint = "add a test split, or judge on a part of what is there: claim: {on: half}"
                check_test_split(file.data_config, hint)
            elif file.reads_test_split:
                check_test_split(
                    file.data_config,
                    "a confirmation reads it: add a test split, or leave confirm out",
                )
        except DataError as error:
            path = ("claim", "on") if file.claim.on == "test" else ("data", error.field)
            raise self.space.document.error(path, str(error), error.hint) from None

    def _check_precision(self) -> None:
        """Of CPUs: those of a cluster that is elsewhere, and GPUs, are asked by each training."""
        file = self.space.file
        elsewhere = file.resources.gpus_per_trial or self.elsewhere
        if elsewhere or file.training.precision is None:
            return
        import torch

        from nas.engine.shared_training import check_points
        from trials.precision import Unsupported, check_precision

        cpu, precision = torch.device("cpu"), file.training.precision
        try:
            check_precision(precision, cpu)
            if file.study.warm is not None:
                check_points(self.space, precision, cpu)
        except Unsupported as error:
            place = ("training", "precision")
            raise self.space.document.error(place, str(error), error.hint) from None

    def load_test(self, data: ImageData) -> Split:
        """The test split, which nothing else reads.

        Raises:
            InputError: there is none, or it does not fit the training images.
        """
        try:
            test = load_test(self.space.file.data_config, data, self._watch)
        except DataError as error:
            message = f"the test split: {error}"
            raise self.space.document.error(("data", error.field), message, error.hint) from None
        if missing := missing_classes(test, data):
            terminal.say(self.console, f"note: no test images of {shown_line(missing)}")
        return test

    def _watch(self, images: Iterator[Images], count: int) -> Iterator[Images]:
        return terminal.counted(images, count, "decoding images", self.console)
