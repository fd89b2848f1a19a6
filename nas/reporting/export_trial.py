"""Export the network of a trial."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nas.network.export import export_network
from nas.reporting.model_card import Trained, model_card, provenance_of
from nas.study.records import Records, TrialRecord
from nas.study.trained_network import MissingWeights, load_trained, recipe_of, train_again


def export_trial(
    records: Records,
    record: TrialRecord,
    study_folder: Path,
    output: Path,
    say: Callable[[str], None] = lambda _message: None,
) -> Path:
    """Export a trial's network as it was trained.

    Where its weights are not in the study's folder, it is trained again from its seed.

    Raises:
        ExportError: the exported files compute something else.
        DataError: it has to be trained again, and the data is not what it was.
    """
    recipe = recipe_of(records, record)
    trained = Trained(recipe, record.validation_accuracy, len(record.seeds))
    try:
        network = load_trained(records, record, study_folder)
    except MissingWeights as error:
        say(f"{error}; training it again")
        training = train_again(records, record)
        network = training.network
        trained = Trained(recipe, training.curve[-1].accuracy)
    return export_network(
        record.architecture,
        network,
        output,
        provenance_of(records, record, trained),
        model_card(records, record, trained),
    )
