"""A network that is no point of the spectrum: its name, and the tree of its layers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from nas.architecture.modules import Layer, Shape
from nas.architecture.point import ArchitectureError
from nas.architecture.serialization import dump


@dataclass(frozen=True)
class Reference:
    """A published network, or a part of one, to compare with.

    It is counted, built and tabulated as an `Architecture` is.

    Attributes:
        name: with its options, as it is written: ``inception_v3:aux=true``.
        layers: the tree of its layers.
    """

    name: str
    layers: Layer = field(compare=False, repr=False)

    @property
    def input_shape(self) -> Shape:
        """(channels, height, width) of an image."""
        return self.layers.input

    @property
    def output_shape(self) -> Shape:
        """(classes,) of a network, (channels, height, width) of a part of one."""
        return self.layers.output

    @property
    def classes(self) -> int:
        """Outputs of the linear head.

        Raises:
            ArchitectureError: it is a part of a network, which has none.
        """
        if len(self.output_shape) > 1:
            raise ArchitectureError(f"a whole network has classes; {self.name} is a part of one")
        return self.output_shape[0]

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that name the network."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Its name, which `nas.architecture.references.network_from_json` reads again."""
        return dump({"reference": self.name})
