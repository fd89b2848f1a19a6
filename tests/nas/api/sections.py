"""A small space as Python has it."""

from __future__ import annotations

SECTIONS = {
    "name": "mine",
    "data": {"source": "synthetic", "limit": 80, "shape": [3, 8, 8], "classes": 4},
    "network": {"stem": {"channels": 6}, "blocks": [{"channels": 6}]},
    "search": {"segments": [1, 2, 3, "C"], "activation": ["none", "relu", "elu"]},
    "training": {"epochs": 1, "batch_size": 16},
    "study": {"trials": 4},
    "confirm": "none",
}
