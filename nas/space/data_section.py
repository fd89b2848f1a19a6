"""The section ``data`` of a search-space file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from nas.space.section import Section
from nas.space.value_types import Channels, Count, Fraction, square
from trials.data import DataConfig, Resize
from trials.data.frames import AXES
from trials.data.images import Layout


class ResizeSection(Section):
    """What pictures are made the same size by; see `trials.data.Resize`."""

    size: Annotated[tuple[Channels, Channels], BeforeValidator(square)]
    mode: Literal["crop", "pad", "stretch"] = "crop"


class DataSection(Section):
    """Which images; see `trials.data.DataConfig`."""

    source: Annotated[str, Field(min_length=1, max_length=4096)]
    validation: Fraction = 0.2
    limit: Annotated[int, Field(ge=2, le=100_000_000)] | None = None
    shape: Annotated[tuple[Channels, ...], Field(min_length=3, max_length=4)] | None = None
    classes: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    image_column: str | None = None
    label_column: str | None = None
    layout: Layout | None = None
    resize: ResizeSection | None = None
    memory: Count | None = DataConfig.memory

    @field_validator("shape")
    @classmethod
    def _of_its_source(
        cls, shape: tuple[int, ...] | None, info: ValidationInfo
    ) -> tuple[int, ...] | None:
        kind = str(info.data.get("source", "npz")).partition(":")[0]
        if shape is not None and len(shape) == 4 and kind not in ("frames", "npz"):
            message = "four numbers are of clips, which frames:DIR and npz:FILE have"
            raise ValueError(f"{message}; got {kind}")
        if shape is not None and len(shape) == 3 and kind == "frames":
            raise ValueError(f"clips have four numbers, {AXES}")
        return shape

    @property
    def config(self) -> DataConfig:
        """The section as `trials.data.load` takes it."""
        resize = Resize(self.resize.size, self.resize.mode) if self.resize else None
        return DataConfig(**self.model_dump(exclude={"resize"}), resize=resize)
