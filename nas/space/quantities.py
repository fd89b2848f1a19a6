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


def parse_multiple(value: object) -> float:
    """A positive multiple of something: ``"0.5x"``, ``"4x"``.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)x", str(value).strip())
    multiple = float(match[1]) if match else 0.0
    if not multiple:
        raise ValueError(f"expected a multiple of the recipe's value such as 0.5x; got {value!r}")
    return multiple


def in_multiples(multiple: float) -> str:
    """``0.5x``, ``4x``."""
    return f"{multiple:.12g}x"


MOST_EXACT = 10**18
"""Above it a count is given by its power of ten: combinations may be more than a float holds."""


def format_count(count: float) -> str:
    """Three significant digits: ``345K``, ``1.67M``; the power of ten where there are none."""
    if count > MOST_EXACT:
        return f"10^{math.log10(count):.0f}"
    for suffix in ("T", "G", "M", "K"):
        if count >= 0.9995 * _FACTORS[suffix]:
            return f"{count / _FACTORS[suffix]:.3g}{suffix}"
    return f"{count:.3g}"


def exact_count(count: int) -> str:
    """All digits of a count, with the largest suffix: ``500K``, ``1.25M``."""
    suffix = max((s for s, factor in _FACTORS.items() if factor <= count), key=_FACTORS.__getitem__)
    whole, rest = divmod(count, _FACTORS[suffix])
    digits = f"{rest:0{len(str(_FACTORS[suffix])) - 1}d}".rstrip("0")
    return f"{whole}.{digits}{suffix}" if digits else f"{whole}{suffix}"


_UNITS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(value: object) -> float:
    """Seconds of a duration: ``90s``, ``10m``, ``1.5h``, ``1h30m``.

    Raises:
        ValueError: it is none, or not above 0.
    """
    text = str(value).strip()
    parts = re.findall(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smh])", text)
    seconds = sum(float(amount) * _UNITS[unit] for amount, unit in parts)
    if "".join(amount + unit for amount, unit in parts) != text or not seconds:
        raise ValueError(f"expected a duration such as 90s, 10m or 2h; got {value!r}")
    return seconds


def seconds_of(given: str | float) -> float:
    """Seconds as they are, or of a duration such as ``10m``.

    Raises:
        ValueError: it is neither, or not above 0.
    """
    if isinstance(given, str):
        return parse_duration(given)
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not (is_number and math.isfinite(given) and given > 0):
        raise ValueError(f"expected seconds, or a duration such as 90s, 10m or 2h; got {given!r}")
    return float(given)


def duration(seconds: float) -> str:
    """Two units: ``0.4 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def epochs_in_words(epochs: int) -> str:
    """``1 epoch``, ``18 epochs``."""
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"
