"""What is shown of text that comes from elsewhere: neither passwords nor control characters."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from urllib.parse import unquote_plus

HIDDEN = "***"

_LOGIN = re.compile(r"(://[^:]*:)(.*)@", re.DOTALL)
"""A name and a password, which ends with the last @: only a wrong address has several."""

_PORT = re.compile(r"^(://(?:\[[^]]*\]|[^[:/?]*):)(?!\d*\W*(?:[/?]|$))[^/?]+")
"""What is no port: a password whose @ and host are missing."""

_FILE = re.compile(r"\b(sqlite(\+\w+)?|file)$")
"""Addresses of files, in which : and @ may be letters of a name."""

_OPTION = re.compile(r"([?&])([^=&]*)=([^&]*)")
_SECRET = re.compile("pass|pwd|token|secret|key|credential|signature", re.IGNORECASE)
_FILES = ("passfile", "sslkey")
"""Options of PostgreSQL that name a file with a secret."""


def shown_address(text: str) -> str:
    """An address, or an argument that ends with one, without its passwords."""
    start, scheme, address = text.partition("://")
    if not scheme:
        return text
    is_file = address.startswith("/") and _FILE.search(start)
    login = None if is_file else _LOGIN.match(scheme + address)
    if login is None:
        address = _PORT.sub(rf"\1{HIDDEN}", scheme + address)
        return start + _OPTION.sub(_shown_option, address)
    options = [o.start(3) for o in _OPTION.finditer(login[0]) if _is_secret(o[2])]
    if options:  # the @ may be an option's, and not the login's
        return start + login[0][: min(login.start(2), *options)] + HIDDEN
    rest = (scheme + address)[login.end() :]
    return f"{start}{login[1]}{HIDDEN}@{_OPTION.sub(_shown_option, rest)}"


def shown_command(arguments: Sequence[str]) -> str:
    """The arguments of a command for a shell, without passwords."""
    return " ".join(map(_quoted, _shown_arguments(arguments)))


def shown_message(text: str) -> str:
    """A message of this program for a terminal: its lines, without the passwords in them."""
    return "\n".join(map(printable, _without_passwords(text).split("\n")))


def shown_line(text: str) -> str:
    """What a person or a file said, as part of a message: one line, without passwords."""
    return printable(_without_passwords(text))


def _without_passwords(text: str) -> str:
    """Word by word: an address is one of them, and what is said of it comes after."""
    return re.sub(r"\S+", lambda word: shown_address(word[0]), text)


def printable(text: str) -> str:
    """Text in which what moves a cursor, colours, turns or hides other text is escaped.

    Bytes that are not UTF-8, which Python has as surrogates, cannot be printed either.
    """
    return "".join(
        c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text
    )


def _shown_arguments(arguments: Sequence[str]) -> Iterator[str]:
    """A database may be something else than a URL, too: a wrong one, which a later one replaces."""
    before = ""
    for argument in arguments:
        option, _, value = argument.partition("=")
        if before == "--storage" and "://" not in argument:
            yield HIDDEN
        elif option == "--storage" and value and "://" not in value:
            yield f"{option}={HIDDEN}"
        else:
            yield shown_address(argument)
        before = argument


def _quoted(argument: str) -> str:
    """For a shell: control characters, and bytes that are not UTF-8, as Bash and Zsh read them."""
    if printable(argument) == argument:
        return shlex.quote(argument)
    plain = set(range(ord(" "), ord("~") + 1)) - set(b"'\\")
    letters = (chr(b) if b in plain else f"\\x{b:02x}" for b in os.fsencode(argument))
    return f"$'{''.join(letters)}'"


def _shown_option(option: re.Match[str]) -> str:
    if not _is_secret(option[2]) or re.fullmatch(r"\*{3}\W*", option[3]):  # hidden already
        return option[0]
    return f"{option[1]}{option[2]}={HIDDEN}"


def _is_secret(name: str) -> bool:
    name = unquote_plus(name).lower()
    return name not in _FILES and _SECRET.search(name) is not None
