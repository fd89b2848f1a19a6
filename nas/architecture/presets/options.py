"""Options of published networks, as text and as values, by the signatures of what makes them."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from nas.architecture.specification import ArchitectureError
from trials.bounded_json import shortened

MAX_LENGTH = 1000
"""Of a name with its options."""

_CALLED = {int: "a whole number", float: "a number", bool: "true or false"}
_SUCH = {int: "1", float: ".5", bool: "true", str: "C"}

Made = TypeVar("Made")


class PresetError(ArchitectureError):
    """A name, option or value that a published network does not have.

    Attributes:
        hint: what to write instead.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def split(text: str) -> tuple[str, dict[str, str]]:
    """``mobilenet:alpha=.5,rho=.75`` as a name and its options, none of them checked.

    Raises:
        PresetError: it is not written like that.
    """
    name, _, rest = text.partition(":")
    options: dict[str, str] = {}
    for part in rest.split(",") if ":" in text else ():
        option, equals, value = (word.strip() for word in part.partition("="))
        if not (option and equals and value) or len(text) > MAX_LENGTH:
            rule = f"{name} is followed by options, as in NAME:option=value,option=value"
            raise PresetError(f"{rule}; got {shortened(repr(part))}", "such as mobilenet:alpha=.5")
        if option in options:
            raise PresetError(f"an option stands once; got {option} twice", "leave one out")
        options[option] = value
    return name, options


def known(name: str, makers: Mapping[str, Callable[..., Made]], kind: str) -> Callable[..., Made]:
    """What makes the network of this name.

    Raises:
        PresetError: there is none.
    """
    if name not in makers:
        names = ", ".join(makers)
        raise PresetError(f"{kind} is one of {names}; got {shortened(repr(name))}", names)
    return makers[name]


def from_text(name: str, maker: Callable[..., Any], options: Mapping[str, str]) -> dict[str, Any]:
    """Values of options, read as the types that the maker says.

    Raises:
        PresetError: it has no such option, or one of another type.
    """
    hints = _hints(name, maker, options)
    return {option: _read(name, option, hints[option], text) for option, text in options.items()}


def checked(name: str, maker: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options from Python, as they are.

    Raises:
        PresetError: it has no such option, or one of another type.
    """
    hints = _hints(name, maker, options)
    for option, value in options.items():
        if not _is(hints[option], value):
            raise _wrong(name, option, hints[option], repr(value))
    return dict(options)


def canonical(name: str, maker: Callable[..., Any], options: Mapping[str, Any]) -> str:
    """A name with its options, those at their default left out, that `split` reads again."""
    defaults = inspect.signature(maker).parameters
    said = [
        f"{option}={_written(value)}"
        for option, value in sorted(options.items())
        if value != defaults[option].default
    ]
    return f"{name}:{','.join(said)}" if said else name


def _hints(name: str, maker: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(maker)
    del hints["return"]
    for option in options:
        if option not in hints:
            there = ", ".join(hints)
            raise PresetError(f"{name} has no option {shortened(repr(option))}", f"any of {there}")
    return hints


def _wrong(name: str, option: str, hint: object, value: str) -> PresetError:
    rule = f"{name}: {option} is {_called(hint)}"
    return PresetError(f"{rule}; got {shortened(value)}", f"such as {name}:{option}={_such(hint)}")


def _read(name: str, option: str, hint: Any, text: str) -> object:  # noqa: ANN401  # a type form
    for kind in _kinds(hint):
        value = _as(kind, text)
        if value is not None and _is(kind, value):
            return value
    raise _wrong(name, option, hint, repr(text))


def _as(kind: Any, text: str) -> object:  # noqa: ANN401  # a type form
    """A text as a value of this type; None where it is none."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower())
    if get_origin(kind) is tuple:
        parts = [_as(int, part) for part in text.split("+")]
        return None if None in parts else tuple(parts)
    try:
        return {int: int, float: float}.get(kind, str)(text)
    except ValueError:
        return None


def _is(hint: Any, value: object) -> bool:  # noqa: ANN401  # a type form
    for kind in _kinds(hint):
        if get_origin(kind) is Literal:
            found = isinstance(value, str) and value in get_args(kind)
        elif get_origin(kind) is tuple:
            found = isinstance(value, tuple) and all(type(item) is int for item in value)
        elif kind is float:
            found = type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]  # a number
        else:
            found = type(value) is kind
        if found:
            return True
    return False


def _kinds(hint: Any) -> Iterator[Any]:  # noqa: ANN401  # a type form
    yield from get_args(hint) if get_origin(hint) is types.UnionType else (hint,)


def _called(hint: Any) -> str:  # noqa: ANN401  # a type form
    words = []
    for kind in _kinds(hint):
        if get_origin(kind) is Literal:
            words.append(f"one of {', '.join(get_args(kind))}")
        elif get_origin(kind) is tuple:
            words.append("whole numbers joined by +")
        elif kind is not type(None):
            words.append(_CALLED.get(kind, "a text"))
    return " or ".join(words)


def _such(hint: Any) -> str:  # noqa: ANN401  # a type form
    kind = next(iter(_kinds(hint)))
    if get_origin(kind) is Literal:
        return str(get_args(kind)[0])
    return _SUCH.get(kind, "64+96")


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)
