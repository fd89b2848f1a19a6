"""How a search ends that does not end with all its results."""

from __future__ import annotations


class SearchFailed(RuntimeError):
    """A search that ended without what was asked for; what is complete is kept."""
