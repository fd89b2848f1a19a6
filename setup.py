"""The kernels, compiled where there is a compiler; everything else is in pyproject.toml.

Without one the package installs all the same, and trains on PyTorch's own kernels.
"""

import platform
import runpy
from pathlib import Path

from setuptools import Extension, setup

X86_LEVELS = {
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma",
               "-mprefer-vector-width=512"],
    "avx2": ["-mavx2", "-mfma"],
}  # fmt: skip
levels = {"baseline": list[str]()}
if platform.machine() in ("x86_64", "AMD64"):
    levels |= X86_LEVELS

source = Path("nas/kernels/source")
digest = runpy.run_path("nas/kernels/digest.py")["digest_of"](source)
setup(
    ext_modules=[
        Extension(
            f"nas.kernels._{level}",
            sorted(str(file) for file in source.glob("*.c")),
            depends=sorted(str(file) for file in source.glob("*.h")),
            libraries=["m"],
            define_macros=[("SOURCES", f'"{digest}"')],
            # Vectors are passed between functions of one file alone: no calling convention matters.
            extra_compile_args=["-O3", "-fvisibility=hidden", "-Wno-psabi", *flags],
            optional=True,
        )
        for level, flags in levels.items()
    ]
)
