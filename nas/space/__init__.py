"""What may be searched: a YAML file, checked, and the architectures it describes."""

from nas.space.axes import Choice
from nas.space.load import load_space
from nas.space.point_space import Parameter
from nas.space.search_space import Infeasible, SearchSpace

__all__ = ["Choice", "Infeasible", "Parameter", "SearchSpace", "load_space"]
