"""A network that several processes train: it computes as if each had the whole batch."""

from __future__ import annotations

from torch import Tensor, nn

from nas.network.exported_layers import SegmentMixture
from trials.data_parallel import average
from trials.data_parallel import over_whole_batches as _over_whole_batches


class _WholeMixture(SegmentMixture):
    """A mixture whose experts are balanced over the whole batch."""

    def mean_over_batch(self, x: Tensor) -> Tensor:
        average([mean := super().mean_over_batch(x)])
        return mean


def over_whole_batches(network: nn.Module) -> None:
    """Replace, in place, what sees one part of each batch by what sees the others' as well."""
    _over_whole_batches(network, {SegmentMixture: _WholeMixture})
