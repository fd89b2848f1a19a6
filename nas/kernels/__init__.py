"""Kernels for CPUs: a training step that is as fast at every point of the spectrum.

`nas.kernels.network.accelerate` gives a network on the kernels; `nas.kernels.library` finds what
was compiled of ``source`` when the package was installed.
"""
