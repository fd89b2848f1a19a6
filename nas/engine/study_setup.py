"""The Optuna study of a search: made, or found and checked to be the same one."""

from __future__ import annotations

import json
import re
import uuid

import optuna
from optuna.study.study import _SYSTEM_ATTR_METRIC_NAMES

from nas.engine.optuna_storage import StudyTrials
from nas.engine.proposal import directions
from nas.space import SearchSpace
from nas.study.design import Design, arms_to_json
from nas.study.identity import SpaceChanged, differences, identity
from nas.study.records import DATA, data_from_json, object_from_json
from nas.study.storage import attribute, understanding
from trials.bounded_json import shortened
from trials.data import DataSummary
from trials.failpoint import failpoint


def open_study(
    trials: StudyTrials, space: SearchSpace, data: DataSummary, design: Design | None
) -> optuna.Study:
    """The study of these trials; a new one, also where its maker died before it was set up.

    Raises:
        DriverReplaced: another driver has claimed it.
        SpaceChanged: it exists, and what its results depend on is different.
        NoStudy: it exists, and is not as it was written.
    """
    objectives, name = space.file.objective_names, trials.study
    trials.create(directions(objectives))
    with understanding(f"what is kept of study {name}"):
        study = optuna.load_study(study_name=name, storage=trials.storage)
        kept = study.user_attrs
    failpoint("study.made")
    # The data may have been moved since the last time, and a design may have more arms now.
    now = {"space": json.dumps(space.document.value)}
    if design is not None:
        now["arms"] = arms_to_json(design.arms)
    if "identity" in kept:
        _check_unchanged(study, space, data)
    else:
        if study.get_trials(deepcopy=False):
            raise SpaceChanged(f"study {name} was made by another program")
        trials.keep_for_optuna({_SYSTEM_ATTR_METRIC_NAMES: list(objectives)})
        now |= {
            "id": uuid.uuid4().hex,
            "data": DATA.dump_json(data).decode(),
            "identity": json.dumps(identity(space.file)),
        }
    trials.keep(**now)
    return study


def _check_unchanged(study: optuna.Study, space: SearchSpace, data: DataSummary) -> None:
    name, kept = study.study_name, study.user_attrs
    earlier = attribute(name, kept, "identity", object_from_json)
    changed = differences(earlier, identity(space.file))
    before = attribute(name, kept, "data", data_from_json).fingerprint
    if before != data.fingerprint:
        changed.append(f"images: their fingerprint was {before}, is now {data.fingerprint}")
    if changed:
        raise SpaceChanged("\n".join(changed))


def id_of(study: optuna.Study) -> str:
    """What names the folder of a study's results that are not recorded yet.

    Raises:
        NoStudy: it cannot be a folder's name.
    """
    return attribute(study.study_name, study.user_attrs, "id", _checked_id)


def _checked_id(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{1,64}", text):
        raise ValueError(f"expected hexadecimal digits; got {shortened(text)}")
    return text
