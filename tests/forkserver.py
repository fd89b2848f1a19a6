"""Where the processes of tests come from: they begin with all modules that take time to load."""

from __future__ import annotations

import multiprocessing

LOADED = ["nas.train", "nas.network.whole_batches", "torch.fx.experimental.symbolic_shapes"]
"""All that any test wants: there is one forkserver, and the last list that it is given holds."""

forkserver = multiprocessing.get_context("forkserver")
forkserver.set_forkserver_preload(LOADED)
