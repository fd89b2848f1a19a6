"""A search space with every section, for mistakes to be made in."""

from __future__ import annotations

GOOD = """\
name: spectrum
data:
  source: synthetic
  validation: 0.2
network:
  stem: {channels: 24, stride: 1}
  blocks:
    - {channels: 24, convs: 2, stride: 2}
    - {channels: 48, convs: 2, stride: 2, repeat: 2}
search:
  segments: [1, 3, C/4, C]
  activation: [none, relu]
  order: [spatial_first, pointwise_first]
  residual: [true, false]
macs: {at_most: 100M}
training: {recipe: proxy, epochs: 8, batch_size: 64}
objectives: {maximize: accuracy, minimize: macs}
study: {trials: 48, sampler: tpe, seed: 0}
resources: {cpus_per_trial: 1, gpus_per_trial: 0}
"""


def shortened(value: object) -> str | None:
    """A case's id: the start of its texts. Functions have addresses, which no two processes share."""
    return str(value)[:40] if isinstance(value, str | list) else None
