"""What is wrong with sections that are right by themselves: together, or for these images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas.architecture.matching import MatchError, ParamsError, cost_range
from nas.architecture.specification import ArchitectureError
from nas.space.ablation_checks import check_ablated_arms, check_ablation
from nas.space.alike_arms import alike_arms
from nas.space.axes import Choice
from nas.space.confirm_section import ConfirmSection
from nas.space.errors import Path
from nas.space.match_section import MatchSection, name_at_budget
from nas.space.objectives import COUNTED, OBJECTIVES, OF_MANY_LABELS
from nas.space.published_checks import check_names_of_published, check_published
from nas.space.quantities import format_count
from nas.space.race_checks import check_arms_of_race, check_race
from nas.space.schema import SpaceFile
from nas.space.search_space import Infeasible, SearchSpace
from nas.space.tune_section import TuneSection
from nas.space.value_types import LONGEST_NAME
from nas.space.yaml_document import Document

GRID_LIMIT = 1_000_000

MAX_ARMS = 1_000
"""Arms of a design: who has more than that wants a search."""


def check_images(document: Document, space: SearchSpace) -> bool:
    """Whether there is a network for these images; where not, that is a problem of the data."""
    try:
        space.first()
    except ArchitectureError as error:
        document.add_problem(("data", "shape" if space.file.data.shape else "source"), str(error))
        return False
    return True


def check_budget(document: Document, space: SearchSpace) -> None:
    """Note what the budget or the equal cost leaves nothing of, and a grid that has no end."""
    if space.file.study.sampler == "grid" and space.size > GRID_LIMIT:
        document.add_problem(
            ("study", "sampler"),
            f"grid tries every architecture, and there are {format_count(space.size)}",
            "use tpe or random",
        )
    if _is_below_all(document, space):
        return
    if space.file.design is not None:
        _check_design(document, space)
    elif space.file.matched is not None or space.file.params is not None:
        try:
            space.sample(seed=0)
        except ArchitectureError as error:
            place = ("params", "at_most") if space.file.params else _matched(space)
            hint = _ALLOW_MORE if space.file.params else _OTHER_COST
            document.add_problem(place, str(error), hint)


def _is_below_all(document: Document, space: SearchSpace) -> bool:
    """Note a limit that is below the cheapest architecture; widths that are solved have others."""
    if space.file.matched is not None:
        return False
    for name, most in space.file.limits.items():
        cheapest, _ = space.macs_range if name == "macs" else space.params_range
        if cheapest > most:
            document.add_problem(
                (name, "at_most"),
                f"{format_count(most)} is less than the cheapest architecture costs, "
                f"{format_count(cheapest)} ({cheapest:,} {OBJECTIVES[name].unit})",
                _ALLOW_MORE,
            )
            return True
    return False


_ALLOW_MORE = "allow more, or use fewer channels"
_OTHER_COST = "another cost, or a larger tolerance"


def _matched(space: SearchSpace) -> Path:
    """Where the cost that is to be equal is written."""
    cost = space.file.match.cost if space.file.match else ""
    return ("match", cost) if cost else ("macs", "match")


def _check_design(document: Document, space: SearchSpace) -> None:
    """Every arm has to exist, at each budget: one that is left out would be missed."""
    if space.size > MAX_ARMS:
        document.add_problem(
            ("design",),
            f"every architecture is an arm, at most {MAX_ARMS}; there are "
            f"{format_count(space.size)}",
            "fewer choices, or scope: network",
            of_key=True,
        )
        return
    names = space.file.budget_names
    if not names:
        _check_arms(document, space, _matched(space))
    for number, name in enumerate(names):
        place = (*_matched(space), number)
        _check_arms(document, space.budgets[number], place, f" at {name}")
    check_arms_of_race(document, space.budgets[0])
    check_ablated_arms(document, space.budgets[0])
    check_names_of_published(document, space)


def _check_arms(document: Document, space: SearchSpace, matched: Path, at: str = "") -> None:
    """Note what arms of one cost cannot have.

    Args:
        matched: where that cost is written.
        at: the budget in words, where there are several.
    """
    unmatched = []
    for combination, found in space.architectures:
        message = f"the arm {space.name_of(combination)}{at}: {found}"
        if isinstance(found, Infeasible):
            hint = "allow more, or leave the arm out"
            document.add_problem((found.limit, "at_most"), message, hint)
        elif isinstance(found, MatchError):
            unmatched.append(combination)
        elif isinstance(found, ParamsError):
            document.add_problem(("match", "params"), message, "a larger part, or leave it out")
        elif isinstance(found, ArchitectureError):
            document.add_problem(matched, message, _OTHER_COST)
    if space.file.design is not None and space.file.design.duplicates == "refuse":
        for line in alike_arms(space):
            document.add_problem(("design", "duplicates"), f"{line}{at}", "leave one of them out")
    if unmatched:
        _say_what_can_be_matched(document, space, unmatched, matched)


def _say_what_can_be_matched(
    document: Document,
    space: SearchSpace,
    unmatched: Sequence[Mapping[str, Choice]],
    place: Path,
) -> None:
    """Once for all arms: what those that cannot have the cost can have, and what all can."""
    matched = space.file.matched
    assert matched is not None  # or nothing would have been matched
    objective = OBJECTIVES[matched.cost]
    ranges = {
        space.name_of(combination): cost_range(space.unmatched(combination), objective.count)
        for combination, _ in space.architectures
    }
    shown = [
        f"{name} ({ranges[name][0]:,.0f} to {format_count(ranges[name][1])})"
        for name in map(space.name_of, unmatched)
    ]
    more = f"; and {len(shown) - 6} more" if len(shown) > 6 else ""
    low, high = max(r[0] for r in ranges.values()), min(r[1] for r in ranges.values())
    inside = low <= matched.wanted <= high
    document.add_problem(
        place,
        f"no widths cost {matched.wanted:,.0f} {objective.unit} within {matched.tolerance:.2%} in "
        f"{len(unmatched)} of {len(ranges)} arms: {'; '.join(shown[:6])}{more}",
        "a larger tolerance, or other widths"
        if inside
        else f"all arms can cost from {low:,.0f} to {format_count(high)} {objective.unit}",
    )


def check_labels(document: Document, file: SpaceFile) -> None:
    """What only images with one label each have, in a space of images with many."""
    if file.objective_names[0] not in OF_MANY_LABELS:
        document.add_problem(
            ("objectives", "maximize"),
            f"{file.objective_names[0]} is of images with one label each; these have many, or none",
            f"objectives: {{maximize: {' or '.join(OF_MANY_LABELS)}, minimize: macs}}",
        )
    if file.training.class_weights:
        document.add_problem(
            ("training", "class_weights"),
            "weights of classes are of images with one label each; these have many, or none",
            "leave it out: each class counts alike in the mean average precision",
        )


def check_plan(document: Document, file: SpaceFile) -> None:
    """Sections that do not go together."""
    _check_match(document, file)
    _check_judging(document, file)
    _check_objectives(document, file)
    check_race(document, file)
    check_ablation(document, file)
    check_published(document, file)
    if file.tune is not None:
        _check_tuning(document, file, file.tune)
    if file.design is not None:
        if file.latency_ms is not None:
            document.add_problem(
                ("latency_ms",),
                "a search leaves out what is slower; of a design no arm may be missing",
                "match: {latency_ms: ...} gives all arms the same latency",
                of_key=True,
            )
        for key in ("trials", "sampler", "seeds_per_trial", "fidelity"):
            if key in file.study.model_fields_set:
                document.add_problem(
                    ("study", key),
                    "a design trains every arm with every seed, so there is nothing to say here",
                    "leave it out; the design says how many seeds",
                    of_key=True,
                )


def _check_tuning(document: Document, file: SpaceFile, tune: TuneSection) -> None:
    """What is tuned is an arm's own, and nothing else says what it is."""
    if file.design is None:
        document.add_problem(
            ("tune",),
            "the arms of a design are tuned, and there is no design",
            "add design: {seeds: 5}, or leave it out",
            of_key=True,
        )
    if tune.weight_decay and not file.training.full_recipe.weight_decay:
        document.add_problem(
            ("tune", "weight_decay"),
            "the recipe has no weight decay, of which any multiple is none",
            "give it one: training: {weight_decay: 5e-4}",
        )
    if not tune.activation:
        return
    blocks = enumerate(file.network.blocks)
    own: list[Path] = [("network", "blocks", i, "activation") for i, b in blocks if b.activation]
    for place in ([("search", "activation")] if file.search.activation else []) + own:
        document.add_problem(
            place,
            "tune.activation chooses it for each arm, so the space cannot say what it is",
            "leave it out here, or there",
            of_key=True,
        )
    if file.matched is not None and file.matched.cost not in COUNTED:
        document.add_problem(
            ("tune", "activation"),
            "an activation takes time, and latencies would no longer be equal",
            "match macs or params, or leave it out",
        )


def _check_match(document: Document, file: SpaceFile) -> None:
    """One cost is equal, and what is compared among arms, or measured once, has a design."""
    if file.match is None:
        return
    if file.macs is not None:
        document.add_problem(
            ("match",),
            "macs bounds or matches the MACs, and match makes a cost equal: one of the two",
            "leave one out",
            of_key=True,
        )
    _check_budgets(document, file, file.match)
    if file.match.params_within is not None and file.design is None:
        document.add_problem(
            ("match", "params"),
            "parameters are compared with those of the other arms, and there is no design",
            "add design: {seeds: 5}, or leave it out",
        )
    if file.match.cost not in COUNTED and file.design is None:
        document.add_problem(
            ("match", file.match.cost),
            "latencies can be made equal in a design only, whose arms are measured once",
            "add design: {seeds: 5}, or match macs or params",
        )


def _check_budgets(document: Document, file: SpaceFile, match: MatchSection) -> None:
    """Several are those of a design, and each is a study whose name says which."""
    if not match.budget_names:
        return
    if file.design is None:
        document.add_problem(
            ("match", match.cost),
            "several budgets are those of a design, and there is none: a search has one",
            "add design: {seeds: 5}, or name one budget",
        )
    longest = max(len(name_at_budget("", name)) for name in match.budget_names)
    if len(file.name) + longest > LONGEST_NAME:
        document.add_problem(
            ("name",),
            f"the name of a study of several budgets leaves {longest} of {LONGEST_NAME} letters "
            f"for them; it has {len(file.name)}",
        )


def _check_judging(document: Document, file: SpaceFile) -> None:
    """What is confirmed is there, and images that are left to the confirmation have one."""
    section = file.confirm if isinstance(file.confirm, ConfirmSection) else None
    if file.design is None and section is not None and "arms" in section.model_fields_set:
        document.add_problem(
            ("confirm", "arms"),
            "arms are those of a design; a search has trials",
            "leave it out: what may be on the front is confirmed",
            of_key=True,
        )
    if file.design is not None and section is not None and "splits" in section.model_fields_set:
        document.add_problem(
            ("confirm", "splits"),
            "all arms of a design are judged on the same images with all seeds",
            "leave it out: claim: {on: ...} says on which",
            of_key=True,
        )
    judges = section is not None or (file.design is not None and file.design.is_race)
    if file.claim.on != "validation" and not judges:
        document.add_problem(
            ("claim", "on"),
            f"{file.claim.on} is read by the trainings that judge, and there are none",
            "add confirm: {seeds: 8}, or leave it out",
        )


def _check_objectives(document: Document, file: SpaceFile) -> None:
    """What is measured on GPUs alone needs one in every trial."""
    if file.resources.gpus_per_trial:
        return
    for position, name in enumerate(file.objective_names[1:]):
        if OBJECTIVES[name].needs_gpu:
            item: Path = ("objectives", "minimize", position)
            document.add_problem(
                item if item in document.values else item[:-1],
                f"{name} is measured on GPUs, and trials have none",
                f"add resources: {{gpus_per_trial: 1}}, or minimize {' or '.join(COUNTED)}",
            )
