"""How sure the front of a search is: in sentences and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.analysis.confirmed_front import CALLED_FRONT, ConfirmedFront, ConfirmedPoint
from nas.architecture.description import describe_architecture
from nas.reporting.answer_table import AnswerTable
from nas.space.objectives import OBJECTIVES
from nas.study.records import Records
from nas.study.trial_record import TrialRecord


def noise_in_words(found: ConfirmedFront) -> str:
    """Which differences are noise, and how that is known."""
    few = (
        "one fresh seed each tells" if found.seeds == 1 else "one network on different images tells"
    )
    basis = (
        f"{few} nothing of seeds, so this is what {found.images.of_seed[0]:,} images alone make of "
        "it"
        if found.is_of_images
        else f"a training's standard deviation is {100 * found.noise:.2f} points, pooled over "
        f"{len(found.points)} networks"
    )
    return (
        f"Differences below {100 * found.difference:.2f} points are noise here: the means of "
        f"{_seeds(found.seeds)} of two equal networks differ by less in 95% of cases ({basis})."
    )


def front_in_words(found: ConfirmedFront) -> str:
    """What is called the front, and how much else may be on it."""
    sure, possible = found.of_place("front"), found.of_place("may be on the front")
    named = ", ".join(f"trial {point.trial.number}" for point in sure)
    at_least = f"with a probability of at least {CALLED_FRONT:.0%}"
    said = f"On the front {at_least}: {named}" if sure else f"No trial is on the front {at_least}"
    return f"{said}; {len(possible)} may be on it.{_apart(found)}"


def _apart(found: ConfirmedFront) -> str:
    """Which trials of a warm search are left out of the comparison, and why."""
    if not found.is_warm:
        return ""
    others = found.searched - len(found.points)
    return f" The other {others} trials are not compared: all their trainings were warm-started."


def unconfirmed_in_words(records: Records) -> str:
    """Why the front of a search is less than it looks; nothing where it is confirmed."""
    if records.file.design is not None or records.confirmed or not records.complete:
        return ""
    again = records.confirmation
    cut = ""
    if again is not None:
        ended = sum(trial.state in ("complete", "failed") for trial in again.trials)
        cut = f", for only {ended} of {len(again.arms) * again.file.fresh_seeds} trainings ended"
    of_warm = ""
    if records.file.study.warm is not None:
        of_warm = " All were warm-started: their accuracies are partly the shared network's."
    return (
        f"This front is not confirmed by fresh seeds{cut}: the best of {len(records.complete)} "
        f"look better than they are.{of_warm}"
    )


def sureness_in_words(records: Records) -> Iterator[str]:
    """What a search says of its front in its last lines."""
    found = ConfirmedFront.of(records)
    if found is not None:
        yield front_in_words(found)
        yield noise_in_words(found)
    elif unconfirmed := unconfirmed_in_words(records):
        yield f"note: {unconfirmed}"


def tie_in_words(found: ConfirmedFront) -> str:
    """``one of the 863 images that judge (0.12 points)``: what is within it ties."""
    points = f" ({100 * found.tie:.2f} points)" if found.tie else ""
    return f"one of the {found.images.different:,} images that judge{points}"


def ties_in_words(point: ConfirmedPoint) -> str:
    """``tie with trials 3, 12``; nothing where none ties."""
    if not point.ties:
        return ""
    several = "s" if len(point.ties) > 1 else ""
    return f"tie with trial{several} {', '.join(map(str, point.ties))}"


def front_table(records: Records, found: ConfirmedFront | None) -> AnswerTable:
    """The front; of a confirmed search with all that may be on it, and how sure that is."""
    if found is None:
        columns = _columns(records, records.front)
        return AnswerTable("The front", tuple(columns), tuple(zip(*columns.values(), strict=True)))
    points = [point for point in found.points if point.place != "hardly on the front"]
    rest = _columns(records, [point.trial for point in points])
    columns = {"trial": rest.pop("trial")} | {
        "": [point.place for point in points],
        "P(on the front)": [f"{point.probability:.2f}" for point in points],
        _goal_heading(records): rest.pop(_goal_heading(records)),
        "95% interval": [f"{point.low:.4f} to {point.high:.4f}" for point in points],
        "ties within one image": [ties_in_words(point) for point in points],
        "as searched": [f"{point.trial.trained.values[0]:.4f}" for point in points],
    }
    columns |= rest
    rows = tuple(zip(*columns.values(), strict=True))
    return AnswerTable("The front", tuple(columns), rows, _note(found))


def _note(found: ConfirmedFront) -> str:
    folds = found.images.folds
    over = "seeds and images, apart from what these do to all alike" if folds else "seeds"
    rivals, basis = "no trial", "all trainings"
    if found.is_warm:
        rivals, basis = "no trial that was trained again and is", "the fresh trainings"
    note = (
        f"{front_in_words(found)} {noise_in_words(found)} Values are means of "
        f"{_seeds(found.seeds)}, the intervals those of such a mean over {over}; "
        f"{found.images.in_words}. "
        f"{len(found.points)} of {found.searched} trials were trained again, the likeliest to be "
        f"on the front. P(on the front) is the probability that {rivals} of at most its cost is "
        f"better by more than {tie_in_words(found)}, for what is within one is a tie (hierarchical "
        f"normal model of {basis})."
    )
    failed = f" Failed with a fresh seed: {', '.join(found.lacking)}." if found.lacking else ""
    return note + failed


def _goal_heading(records: Records) -> str:
    """Heading of the column of what is maximized."""
    return OBJECTIVES[records.objectives[0]].heading


def _columns(records: Records, trials: Sequence[TrialRecord]) -> dict[str, list[str]]:
    columns = {"trial": [str(trial.number) for trial in trials]}
    measured = [
        name
        for name in ("top5", "balanced_accuracy", "map_at_100")
        if all(getattr(trial, OBJECTIVES[name].measured) is not None for trial in trials)
    ]
    for name in dict.fromkeys((records.score, *measured, "macs", "params", *records.objectives)):
        objective = OBJECTIVES[name]
        columns[objective.heading] = [
            objective.cell(records.value(trial, name)) for trial in trials
        ]
    columns["architecture"] = [
        "\n".join(describe_architecture(trial.architecture)) for trial in trials
    ]
    return columns


def _seeds(count: int) -> str:
    return f"{count} fresh seeds" if count > 1 else "one fresh seed"
