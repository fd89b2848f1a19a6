"""How far a difference may be off for images that were not there, in words."""

from __future__ import annotations

from nas.analysis.judged import NewImages
from nas.reporting.formats import bounds


def for_new_images(found: NewImages | str) -> str:
    """A difference from the best end alone, beside the line for new seeds; or why there is none."""
    if isinstance(found, str):
        return f"not known: {found}"
    text = f"{bounds(*found.these_trainings[1:])} for these trainings"
    if found.seeds > 1:
        text += f", {bounds(*found.new_seeds[1:])} for new seeds as well"
    return f"{text}; of {found.images:,} images, in pairs, each bound with the same confidence"
