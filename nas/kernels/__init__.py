"""Kernels for CPUs: a training step that is as fast at every point of the spectrum."""
