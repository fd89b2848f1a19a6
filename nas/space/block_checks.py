"""Whether every choice exists in every convolution that it may be drawn for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nas.architecture.specification import ArchitectureError, segment_count
from nas.space.errors import Path, dotted
from nas.space.schema import Axes, BlockSection, NetworkSection, SearchSection, SegmentRange
from nas.space.search_space import BlockFrame
from nas.space.yaml_document import Document


def check_blocks(document: Document, network: NetworkSection, search: SearchSection) -> None:
    """Note the choices that some block cannot have, each once."""
    noted: set[Path] = set()
    width = network.stem.channels[-1]
    for index, section in enumerate(network.blocks):
        if search.scope == "network":
            _refuse_own_axes(document, index, section)
        for _ in range(min(2, section.repeat)):  # a third copy gets what the second one does
            channels = section.convolution_channels
            frame = BlockFrame(width, channels, section.stride, section.downsample)
            _BlockCheck(document, index, section, search, frame, noted)()
            width = channels[-1]


def _refuse_own_axes(document: Document, index: int, section: BlockSection) -> None:
    for axis in Axes.AXES:
        if getattr(section, axis) is not None:
            document.add_problem(
                ("network", "blocks", index, axis),
                "search.scope is network, which draws each axis once for all blocks",
                "leave it out here, or use scope: block",
                of_key=True,
            )


@dataclass(frozen=True)
class _BlockCheck:
    """Of one block; a choice is noted for the first block that cannot have it."""

    document: Document
    index: int
    section: BlockSection
    search: SearchSection
    frame: BlockFrame
    noted: set[Path]

    def __call__(self) -> None:
        orders = self.axis("order")[1] or ("spatial_first",)
        if set(orders) != {"plain"}:  # which has nothing to segment or group
            self.segments(self.frame.narrowest(orders))
            self.pointwise_groups()
        self.dilation()

    @property
    def name(self) -> str:
        return dotted(("blocks", self.index))

    def axis(self, axis: str) -> tuple[Path, Any]:
        """Where the choices of this block are written, and what they are."""
        own = getattr(self.section, axis)
        if own is not None:
            return ("network", "blocks", self.index, axis), own
        return ("search", axis), getattr(self.search, axis)

    def note(self, path: Path, message: str, hint: str) -> None:
        if path not in self.noted:
            self.noted.add(path)
            self.document.add_problem(path, message, hint)

    def segments(self, narrowest: int) -> None:
        path, segments = self.axis("segments")
        if isinstance(segments, SegmentRange):
            last = segments.first if segments.last == "C" else segments.last
            if last > narrowest:
                self.note(
                    path,
                    f"{last} is more than the {narrowest} channels of {self.name}",
                    "end the range with C, one segment per channel",
                )
            return
        for position, choice in enumerate(segments or ()):
            try:
                segment_count(choice, narrowest)
            except ArchitectureError:
                shown = choice if isinstance(choice, int) else f"a segment of {choice[2:]} channels"
                self.note(
                    self.item(path, position),
                    f"{shown} is more than the {narrowest} channels of {self.name}",
                    f"use a count up to {narrowest}, or a width such as C/{min(4, narrowest)}",
                )

    def pointwise_groups(self) -> None:
        path, groups = self.axis("pointwise_groups")
        fewest = min(self.frame.in_channels, *self.frame.channels)
        for position, choice in enumerate(groups or ()):
            if choice > fewest:
                self.note(
                    self.item(path, position),
                    f"{choice} is more than the {fewest} channels of {self.name}",
                    f"use a count up to {fewest}",
                )

    def dilation(self) -> None:
        path, dilations = self.axis("dilation")
        largest, stride = max(dilations or (1,)), self.frame.stride
        if stride > 1 and self.frame.downsample == "convolution" and largest > 1:
            self.note(
                path,
                f"dilation {largest} with stride {stride} in the convolutions of {self.name}",
                "dilate blocks that have stride 1 or downsample: max_pool",
            )

    def item(self, path: Path, position: int) -> Path:
        """The path of a choice; that of the whole axis where it is written as a single value."""
        item = (*path, position)
        return item if item in self.document.values else path
