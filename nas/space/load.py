"""From a file to a search space, or to everything that is wrong with the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath

from nas.space.block_checks import check_blocks, check_dims
from nas.space.data_section import DataSection
from nas.space.errors import InputError, Path
from nas.space.objectives import score_of_data
from nas.space.published_checks import check_published_networks
from nas.space.schema import ObjectivesSection, SpaceFile
from nas.space.search_space import SearchSpace
from nas.space.sections import as_tuples, valid_sections
from nas.space.space_checks import check_budget, check_images, check_labels, check_plan
from nas.space.warm_checks import check_shared_size, check_warm_start
from nas.space.yaml_document import Document, assign, override, read_yaml
from trials.data import DataError, Probe, probe


def load_space(path: str | FilePath, overrides: Sequence[str] = ()) -> SearchSpace:
    """Read a search-space file.

    The shape of the images and the number of classes are read from the data where the file does
    not have them.

    Args:
        path: of the YAML file.
        overrides: assignments such as ``training.epochs=3``.

    Raises:
        InputError: everything that is wrong, each with its place.
    """
    return build_space(read_document(path, overrides))


def read_document(
    path: str | FilePath,
    overrides: Sequence[str] = (),
    options: Mapping[str, tuple[Path, object]] | None = None,
) -> Document:
    """A file with assignments applied to it, not checked yet beyond being YAML.

    Args:
        path: of the YAML file.
        overrides: assignments such as ``training.epochs=3``, as given to ``--set``.
        options: the path and the value that stand for a command-line option, by its name.

    Raises:
        InputError: the file cannot be read.
    """
    document = read_yaml(FilePath(path))
    for assignment in overrides:
        override(document, assignment)
    for option, (place, value) in (options or {}).items():
        assign(document, place, value, option)
    return document


def build_space(document: Document) -> SearchSpace:
    """The search space that a document describes.

    Raises:
        InputError: everything that is wrong with it.
    """
    sections = valid_sections(document)
    if "network" in sections and "search" in sections:
        check_blocks(document, sections["network"], sections["search"])
    images = _probe(document, sections["data"]) if "data" in sections else None
    if document.problems or images is None:
        raise InputError(document.problems)
    sections |= _epochs_of_the_last_rung(document, SpaceFile(**sections))
    if images.many_labels:
        sections |= _objectives_of_many_labels(document, SpaceFile(**sections))
    space = SearchSpace.of(document, SpaceFile(**sections), images.input_shape, images.classes)
    check_dims(document, space.file, images.input_shape)
    check_plan(document, space.file)
    check_warm_start(document, space.file, images.input_shape)
    if images.many_labels:
        check_labels(document, space.file)
    if document.problems:
        raise InputError(document.problems)
    if check_images(document, space):
        check_published_networks(document, space)
        check_budget(document, space)
        check_shared_size(document, space)
    if document.problems:
        raise InputError(document.problems)
    return space


def _epochs_of_the_last_rung(document: Document, file: SpaceFile) -> dict[str, object]:
    """The section ``training`` with the epochs that the rungs end at.

    Written into the document, so that whatever reads a study later finds the recipe there.
    """
    if file.study.fidelity is None:
        return {}
    last = file.study.fidelity.rungs[-1]
    if file.training.epochs not in (None, last):
        document.add_problem(
            ("training", "epochs"),
            f"the last of study.fidelity.rungs says {last}, and this {file.training.epochs}",
            "leave it out, or end the rungs there",
        )
        return {}
    document.value["training"] = {**document.value.get("training", {}), "epochs": last}
    return {"training": file.training.model_copy(update={"epochs": last})}


def _objectives_of_many_labels(document: Document, file: SpaceFile) -> dict[str, object]:
    """The section ``objectives``, which says what is maximized where the file does not.

    Written into the document, for nothing that reads a study later asks its images.
    """
    section = file.objectives
    if section is not None and "maximize" in section.model_fields_set:
        return {}
    named = {} if file.objectives is None else document.value["objectives"]
    costs = {} if named or file.matched else {"minimize": "macs"}
    document.value["objectives"] = named | {"maximize": score_of_data(many_labels=True)} | costs
    return {"objectives": ObjectivesSection.model_validate(as_tuples(document.value["objectives"]))}


def space_file(plain: object) -> SpaceFile:
    """The file of a study, as it was kept: it has been checked before.

    Raises:
        ValueError: it is something else.
    """
    return SpaceFile.model_validate(as_tuples(plain))


def _probe(document: Document, data: DataSection) -> Probe | None:
    """What a network has to fit; None where the data cannot be read."""
    try:
        return probe(data.config)
    except DataError as error:
        document.add_problem(("data", error.field), str(error), error.hint)
        return None
