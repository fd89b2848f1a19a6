"""Find a learning rate for a long training, before it is begun."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rich.console import Console

from nas.engine import terminal
from nas.engine.long_training import (
    LongTraining,
    check_folder,
    held_folder,
    range_test_of,
    write_rates,
)
from nas.engine.outcome import failing_with_the_machine
from nas.reporting.rate_drawing import draw_rates
from trials.atomic_file import atomic_write_text, remove_partial
from trials.rate_range import RateRange


def find_rate(job: LongTraining, output: Path, console: Console) -> RateRange:
    """Try rates on the training's first images; a picture and the numbers go to its folder.

    Nothing else of it is kept, and the test split is not read.

    Raises:
        InputError: the folder has another network, or another process trains in it.
        SearchFailed: a file could not be written.
        DataError, Diverged, Unsupported: of the test.
    """
    check_folder(output, job.architecture)
    with held_folder(output), failing_with_the_machine():
        remove_partial(output)
        counted = partial(terminal.counted, what="trying learning rates", console=console)
        found = range_test_of(job, counted)
        write_rates(found, output)
        atomic_write_text(output / "rates.svg", draw_rates(found) + "\n")
    return found
