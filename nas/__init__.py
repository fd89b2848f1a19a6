"""Neural architecture search over how separable a convolution is.

Names are loaded when they are first used (PEP 562), so ``import nas`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what type checkers and editors see of the names below
    from nas.api.benchmark import load_benchmark as load_benchmark
    from nas.api.run_search import run_search as run_search
    from nas.api.study import Study as Study
    from nas.api.study import load_study as load_study
    from nas.architecture import Architecture as Architecture
    from nas.architecture import ArchitectureError as ArchitectureError
    from nas.architecture import Block as Block
    from nas.architecture import SpectrumPoint as SpectrumPoint
    from nas.architecture import Stem as Stem
    from nas.architecture.cost import Cost as Cost
    from nas.architecture.cost import count_cost as count_cost
    from nas.architecture.matching import MatchError as MatchError
    from nas.architecture.matching import match_macs as match_macs
    from nas.architecture.presets import preset as preset
    from nas.network.build import build_network as build_network
    from nas.network.export import export_network as export_network
    from nas.network.reference import reference as reference
    from nas.network.separable import separable_conv2d as separable_conv2d
    from nas.space import SearchSpace as SearchSpace
    from nas.space import load_space as load_space
    from nas.statistics.pareto import pareto_front as pareto_front

__version__ = "0.2.0"

_HOME = {
    "Architecture": "nas.architecture",
    "ArchitectureError": "nas.architecture",
    "Block": "nas.architecture",
    "Cost": "nas.architecture.cost",
    "MatchError": "nas.architecture.matching",
    "SearchSpace": "nas.space",
    "SpectrumPoint": "nas.architecture",
    "Study": "nas.api.study",
    "Stem": "nas.architecture",
    "build_network": "nas.network.build",
    "count_cost": "nas.architecture.cost",
    "export_network": "nas.network.export",
    "load_benchmark": "nas.api.benchmark",
    "load_space": "nas.space",
    "load_study": "nas.api.study",
    "match_macs": "nas.architecture.matching",
    "pareto_front": "nas.statistics.pareto",
    "preset": "nas.architecture.presets",
    "reference": "nas.network.reference",
    "run_search": "nas.api.run_search",
    "separable_conv2d": "nas.network.separable",
}

__all__ = sorted(_HOME)  # the names above, once


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
