"""Where a study is: its name, its folder and its database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy.engine import URL

from nas.space.errors import InputError, Problem
from nas.space.match_section import name_at_budget
from nas.space.yaml_document import read_yaml
from nas.study.storage_url import storage_url

RUNS = Path("runs")


@dataclass(frozen=True)
class StudyPlace:
    """Where a study is."""

    name: str
    folder: Path
    url: URL

    def at_budget(self, budget_name: str) -> StudyPlace:
        """Where a budget of a study of several is: in its folder and its database."""
        name = name_at_budget(self.name, budget_name)
        return StudyPlace(name, self.folder / budget_name, self.url)


def locate_study(study: str, storage: str | None) -> StudyPlace:
    """Find a study by its name under ``runs``, or by its folder.

    A budget of a study of several is found as ``STUDY/BUDGET``.

    Raises:
        InputError: neither is there, or its file does not say how it is called.
    """
    folders = Path(study), RUNS / study  # a folder of that name may have something else
    folder = next((path for path in folders if (path / "space.yaml").is_file()), None)
    if folder is None:
        missing = " or ".join(str(path) for path in folders if path.is_dir()) or str(folders[1])
        hint = f"studies here: {', '.join(_studies()) or 'none'}"
        raise InputError.of("--study", f"there is no study in {missing}", hint)
    name, known = study_in(folder), folder if folder.name else folder.absolute()
    above = known.parent
    if (above / "space.yaml").is_file() and name == name_at_budget(study_in(above), known.name):
        return replace(locate_study(str(above), storage), name=name, folder=folder)
    return StudyPlace(name, folder, storage_url(storage, folder, "--study"))


def study_in(folder: Path) -> str:
    """Name of the study whose results are in a folder.

    Raises:
        InputError: its file does not say.
    """
    document = read_yaml(folder / "space.yaml")
    name = document.value.get("name") if isinstance(document.value, dict) else None
    if document.problems or not isinstance(name, str):
        nameless = Problem(document.place(("name",)), "expected the name of a study", ("name",))
        raise InputError(document.problems or [nameless])
    return name


def _studies() -> list[str]:
    return sorted(space.parent.name for space in RUNS.glob("*/space.yaml"))
