"""Image data sets: read once, kept as uint8 arrays, normalised and augmented on the device."""

from trials.data.images import DataConfig, DataError, DataSummary, ImageData, Split
from trials.data.loading import check_batch_size, load, load_test, probe

__all__ = [
    "DataConfig",
    "DataError",
    "DataSummary",
    "ImageData",
    "Split",
    "check_batch_size",
    "load",
    "load_test",
    "probe",
]
