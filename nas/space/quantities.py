"""Numbers as people write them: ``2M`` MACs, ``1%``."""

from __future__ import annotations

import math
import re

_FACTORS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_LARGEST = 10**18


def parse_count(value: object) -> int:
    """A whole number: ``300000``, ``"300K"``, ``"8.4G"``.

    Raises:
        ValueError: it is none, or not positive.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        count = value
    else:
        match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)([KMGT]?)", str(value).strip())
        if match is None or isinstance(value, bool | float):
            raise ValueError(f"expected a number such as 300000, 300K or 2M; got {value!r}")
        count = round(float(match[1]) * _FACTORS[match[2]])
    if not 1 <= count <= _LARGEST:
        raise ValueError(f"expected 1 to {_LARGEST:.0e}; got {value!r}")
    return count


def parse_fraction(value: object) -> float:
    """A fraction between 0 and 1: ``0.01``, ``"1%"``.

    Raises:
        ValueError: it is none.
    """
    text = str(value).strip()
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)%", text)
    if match:
        fraction = float(match[1]) / 100
    elif isinstance(value, int | float) and not isinstance(value, bool):
        fraction = float(value)
    else:
        raise ValueError(f"expected a fraction such as 0.01 or 1%; got {value!r}")
    if not 0 < fraction < 1:
        raise ValueError(f"expected a fraction between 0 and 1; got {value!r}")
    return fraction


def parse_number(value: object) -> float:
    """A positive number: ``5``, ``"1.25"``.

    Raises:
        ValueError: it is none.
    """
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError(f"expected a number above 0, such as 1.5; got {value!r}")
    return number


def format_count(count: float) -> str:
    """Three significant digits: ``345K``, ``1.67M``."""
    for suffix in ("T", "G", "M", "K"):
        if count >= 0.9995 * _FACTORS[suffix]:
            return f"{count / _FACTORS[suffix]:.3g}{suffix}"
    return f"{count:.3g}"
