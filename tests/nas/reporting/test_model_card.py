"""The model card and the header of the source: what they say of a network and its training."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

import pytest

from nas.architecture.cost import count_cost
from nas.architecture.specification import Architecture
from nas.network.comparison import ExportedFile, Loss
from nas.network.source import model_source
from nas.reporting.model_card import Trained, model_card, provenance_of
from nas.study.selection import choose
from nas.study.trained_network import recipe_as_trained
from tests.nas.planting import SEARCH, planted_study
from tests.nas.records import network, study, trial
from trials.recipe import RECIPES, recipe

PROXY = RECIPES["proxy"]
RECORD = trial(3, 0.75, network())


def rows(card: str) -> dict[str, str]:
    """Cells of the table by their head; a bar that is escaped is part of its cell."""
    lines = [line for line in card.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    assert all(len(pair) == 2 for pair in cells), cells
    return {head.strip(): value.strip() for head, value in cells}


def header(architecture: Architecture, trained: Trained) -> str:
    source = model_source(architecture, provenance_of(study(RECORD), RECORD, trained))
    return ast.get_docstring(ast.parse(source)) or ""


@pytest.mark.parametrize("accuracy", [0.0, 0.5, 1.0])
def test_card_and_source_state_the_accuracy_of_the_weights(accuracy):
    trained = Trained(PROXY, accuracy)
    card = rows(model_card(study(RECORD), RECORD, trained))
    assert card["accuracy on the validation split"] == f"{accuracy:.4f}"
    assert f"validation accuracy {accuracy:.4f}." in header(RECORD.architecture, trained)


def test_the_card_has_the_count_of_ptflops_beside_the_closed_form():
    card = rows(model_card(study(RECORD), RECORD, Trained(PROXY, 0.75)))
    macs = count_cost(RECORD.architecture).macs
    assert card["multiply-accumulates (MACs) of an image"].startswith(f"{macs:,} (")
    assert card["counted on the built network"] == f"ptflops counts {macs:,} MACs: the same"


def test_a_mean_over_seeds_is_called_one():
    trained = Trained(PROXY, 0.75, seeds=3)
    said = "0.7500 (mean of 3 seeds; these weights: the first)"
    card = rows(model_card(study(RECORD), RECORD, trained))
    assert card["accuracy on the validation split"] == said
    assert f"validation accuracy {said}." in header(RECORD.architecture, trained)


@pytest.mark.parametrize(
    ("used", "said"),
    [
        (
            recipe("proxy", epochs=5, batch_size=32, crop=4, flip=True),
            "proxy recipe, 5 epochs, batches of 32, sgd with Nesterov momentum 0.9, learning rate "
            "0.1 in one cycle, warm-up 20%, weight decay 0.0005, label smoothing 0.1, crop 4, flips",
        ),
        (
            RECIPES["imagenet"],
            "imagenet recipe, 100 epochs, batches of 256, sgd with momentum 0.9, learning rate 0.045 "
            "times 0.94 every 2 epochs, weight decay 1e-05, dropout 0.5, polyak 0.9999, flips",
        ),
        (
            RECIPES["jft"],
            "jft recipe, 100 epochs, batches of 256, rmsprop with momentum 0.9, learning rate 0.001 "
            "times 0.9 every 3,000,000 images, weight decay 1e-05, polyak 0.9999, flips",
        ),
    ],
)
def test_the_training_is_stated_in_full(used, said):
    assert rows(model_card(study(RECORD), RECORD, Trained(used, 0.5)))["training"] == said


def test_names_from_the_data_are_no_markup():
    classes = ("a|b", "c\nd", "<img src=x onerror=alert(1)>", "`code`")
    records = study(RECORD, classes=classes, source="parquet:/data/_a_|*b*\r\n[x](y)")
    card = rows(model_card(records, RECORD, Trained(PROXY, 0.5)))
    assert card["classes"] == ("a\\|b, c d, \\<img src=x onerror=alert(1)\\>, \\`code\\`")
    assert card["data"].startswith("parquet:/data/\\_a\\_\\|\\*b\\*  \\[x\\](y), fingerprint")


def test_names_that_utf_8_does_not_have_can_be_written():
    records = study(RECORD, classes=("\udce9", "é", "日本", "\0"))
    assert "é, 日本" in model_card(records, RECORD, Trained(PROXY, 0.5)).encode().decode()


def test_blocks_are_listed_with_their_shortcuts():
    card = model_card(study(RECORD), RECORD, Trained(PROXY, 0.5))
    assert "1. stem: 12 channels\n1. 12 channels, 2 convolutions in 12 segments" in card
    assert ", shortcut, stride 2\n" in card
    record = replace(RECORD, network=network(residual=False))
    assert ", no shortcut, stride 2\n" in model_card(study(record), record, Trained(PROXY, 0.5))


def test_a_confirmed_network_has_its_confirmed_and_its_test_accuracy():
    again = replace(RECORD, number=40, accuracy=0.7, test_accuracy=0.69, seeds=(7, 8, 9))
    other = replace(trial(4, 0.9, network(width=16)), test_accuracy=0.9)
    confirmed = replace(study(RECORD), confirmation=study(other, again))
    card = model_card(confirmed, RECORD, Trained(PROXY, 0.75))
    said = "0.7000 on the validation split, 0.6900 on the test split"
    assert rows(card)["accuracy, mean of 3 fresh seeds"] == said
    assert rows(card)["accuracy of these weights, by which they were chosen"] == "0.7500"
    assert "The test split was used for nothing but the accuracy above." in card
    unconfirmed = model_card(study(RECORD), RECORD, Trained(PROXY, 0.75))
    assert "The test split has not been used." in unconfirmed


def test_a_warm_started_network_is_headed_by_its_fresh_seeds_which_are_not():
    text = SEARCH.replace("trials: 10,", "trials: 10, warm: shared,")
    found = planted_study({}, text=text).records
    warm = tuple(replace(t, warm_start="ab" * 32, top5_accuracy=0.9) for t in found.trials)
    records = replace(found, trials=warm)
    record = choose(records)
    recipe = recipe_as_trained(records, record)
    assert recipe.warm_start == "ab" * 32
    card = rows(model_card(records, record, Trained(recipe, 0.8)))
    assert list(card)[:3] == ["", "---", "accuracy, mean of 6 fresh seeds"]
    assert card["accuracy, mean of 6 fresh seeds"].startswith(f"{record.score:.4f} on the ")
    assert card["accuracy of these weights, by which they were chosen"] == "0.8000"
    assert "among the trials of fresh seeds" in card["how sure that is"]
    assert card["training"].endswith("first weights from a shared network")

    # Trained again from scratch, its weights have no part in what the warm ones reached.
    alone = replace(records, confirmation=None)
    top5 = "top-5 accuracy on the validation split"
    for used, is_known in ((recipe, True), (replace(recipe, warm_start=""), False)):
        card = rows(model_card(alone, alone.trials[record.number], Trained(used, 0.8)))
        assert (top5 in card) == is_known


def test_what_a_format_is_not_is_said():
    source = ExportedFile("pytorch", "model.py", 97_000, 0.0, 0.75, 0.6)
    int4 = ExportedFile("int4", "model.int4.safetensors", 21_000, 0.1, 0.74, 0.6)
    card = model_card(study(RECORD), RECORD, Trained(PROXY, 0.75), [source, int4])
    assert "\nmodel.int4.safetensors stores weights in 4 bits, and `load(" in card
    assert "it is smaller, not faster.\n" in card


def test_what_was_not_compared_is_not_claimed():
    """Without validation images, and where no image drawn again differs from the others."""
    noise = [ExportedFile(name, name, 9, 0.0, None, 0.6) for name in ("pytorch", "pt2")]
    said = ", of noise: the validation images were not there."
    assert said in model_card(study(RECORD), RECORD, Trained(PROXY, 0.75), noise)
    files = [replace(file, score=0.75) for file in noise]
    assert said not in model_card(study(RECORD), RECORD, Trained(PROXY, 0.75), files)
    files = [
        replace(file, loss=Loss(0, 0, high, 25)) for file, high in zip(files, (0, 3), strict=True)
    ]
    card = model_card(study(RECORD), RECORD, Trained(PROXY, 0.75), files)
    assert "pytorch loses 0.00 percentage points of accuracy, paired over 25 images." in card
    assert "pt2 loses 0.00 percentage points of accuracy, between 0.00 and 3.00 with 95%" in card
