"""Image data sets: read once, kept as uint8 arrays, normalised and augmented on the device."""

from trials.data.images import DataConfig, DataError, DataSummary, ImageData, Resize, Split
from trials.data.loading import (
    Probe,
    check_batch_size,
    check_test_split,
    describe,
    load,
    load_test,
    missing_classes,
    probe,
)

__all__ = [
    "DataConfig",
    "DataError",
    "DataSummary",
    "ImageData",
    "Probe",
    "Resize",
    "Split",
    "check_batch_size",
    "check_test_split",
    "describe",
    "load",
    "load_test",
    "missing_classes",
    "probe",
]
