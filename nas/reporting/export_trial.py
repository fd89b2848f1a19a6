"""Export the network of a trial."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from nas.network.comparison import Samples
from nas.network.export import export_network
from nas.network.formats import FORMATS, SOURCE_ALONE, FormatOptions
from nas.reporting.model_card import Trained, model_card, provenance_of
from nas.study.records import Records
from nas.study.trained_network import (
    MissingWeights,
    load_trained,
    recipe_as_trained,
    recipe_of,
    train_again,
    validation_samples,
)
from nas.study.trial_record import TrialRecord
from trials.data import DataError


def export_trial(
    records: Records,
    record: TrialRecord,
    study_folder: Path,
    output: Path,
    say: Callable[[str], None] = lambda _message: None,
    formats: FormatOptions = SOURCE_ALONE,
    samples: Samples | None = None,
) -> Path:
    """Export a trial's network as it was trained.

    Where its weights are not in the study's folder, it is trained again from its seed. Formats are
    compared on the validation images, whose guesses are kept, or on noise without them.

    Args:
        formats: that are written beside ``model.py``.
        samples: the study's validation images, where they are there already.

    Raises:
        ExportError: the exported files compute something else.
        DataError: it has to be trained again, and the data is not what it was.
    """
    recipe = recipe_as_trained(records, record)
    trained = Trained(recipe, record.trained.score, len(record.trained.seeds))
    try:
        network = load_trained(records, record, study_folder)
    except MissingWeights as error:
        say(f"{error}; training it again")
        training = train_again(records, record)
        network = training.network
        trained = Trained(recipe_of(records, record), training.curve[-1].score)
    return export_network(
        record.architecture,
        network,
        output,
        provenance_of(records, record, trained),
        partial(model_card, records, record, trained),
        formats,
        _samples(records, formats, say) if samples is None else samples,
    )


def _samples(
    records: Records, formats: FormatOptions, say: Callable[[str], None]
) -> Samples | None:
    try:
        return validation_samples(records, formats.calibration)
    except DataError as error:
        if any(FORMATS[name].tolerance is None for name in formats.names):
            raise  # there is no noise to judge an accuracy by
        lacking = "formats are compared on noise" if formats.names else "no accuracy by class"
        say(f"{lacking}: {error}")
        return None
