"""Names of the Optuna studies beside a study's own: no name of a study has a colon."""

from __future__ import annotations


def tuning_name(study: str) -> str:
    """Of the one with the tuning's trainings."""
    return f"{study}:tuning"


def confirmation_name(study: str) -> str:
    """Of the one with the confirmation trainings."""
    return f"{study}:confirmation"


def references_name(study: str) -> str:
    """Of the one with the published networks that a search is compared with."""
    return f"{study}:references"
