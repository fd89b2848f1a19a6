"""Architecture search over the separability spectrum of convolutions."""

from nas.architecture.cost import Cost, count_cost
from nas.architecture.matching import MatchError, match_macs
from nas.architecture.presets import preset
from nas.architecture.specification import (
    Architecture,
    ArchitectureError,
    Block,
    SpectrumPoint,
    Stem,
)
from nas.network.build import build_network
from nas.network.export import export_network
from nas.space import SearchSpace, load_space
from nas.statistics.pareto import pareto_front

__all__ = [
    "Architecture",
    "ArchitectureError",
    "Block",
    "Cost",
    "MatchError",
    "SearchSpace",
    "SpectrumPoint",
    "Stem",
    "build_network",
    "count_cost",
    "export_network",
    "load_space",
    "match_macs",
    "pareto_front",
    "preset",
]
