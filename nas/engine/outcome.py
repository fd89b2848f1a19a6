"""How a search ends that does not end with all its results."""

from __future__ import annotations

INTERRUPTED = 130
"""Exit status of a command that was asked to stop."""


class SearchFailed(RuntimeError):
    """A search that ended without what was asked for; what is complete is kept."""
