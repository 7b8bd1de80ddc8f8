"""The kinds of values that settings have: how the file and a flag write them, and their bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxplain.graphops.errors import listed

__all__ = [
    "ADDRESS",
    "BYTES",
    "FILE",
    "FOLDER",
    "HOST_AND_PORT",
    "NUMBER",
    "TEXT",
    "YES_NO",
    "SettingKind",
    "at_least",
    "one_of",
    "whole",
]

UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


@dataclass(frozen=True)
class SettingKind:
    """A kind of value.

    metavar: what its flag takes. accept: takes a value of the file and returns that of the setting,
    or raises ValueError with what it should be. read: turns the word of a flag into a value as the
    file has it.
    """

    metavar: str
    accept: Callable[[Any], Any]
    read: Callable[[str], Any] = str


def whole(least: int = 0) -> SettingKind:
    """Return the kind of a whole number of at least `least`."""

    def accept(value: Any) -> int:
        if type(value) is not int or value < least:
            raise ValueError(f"a whole number of at least {least}")
        return value

    return SettingKind(
        "N", accept, lambda word: int(word) if re.fullmatch(r"-?\d+", word) else word
    )


def at_least(least: str) -> SettingKind:
    """Return the kind of a number of bytes of at least `least`, such as "64M"."""

    def accept(value: Any) -> int:
        if (size := _bytes(value)) < _bytes(least):
            raise ValueError(f"a number of bytes of at least {least}")
        return size

    return SettingKind("BYTES", accept)


def one_of(*words: str) -> SettingKind:
    """Return the kind of a word out of several."""

    def accept(value: Any) -> str:
        if value not in words:
            raise ValueError(listed(words))
        return str(value)

    return SettingKind("WORD", accept)


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise ValueError("a number of at least 0")
    return float(value)


def _read_number(word: str) -> Any:
    try:
        return float(word)
    except ValueError:
        return word


def _bytes(value: Any) -> int:
    if type(value) is int and value >= 0:
        return value
    parts = re.fullmatch(r"(\d+)([KMGT]?)", value) if isinstance(value, str) else None
    if parts is None:
        raise ValueError('a number of bytes, such as 4294967296 or "4G"')
    return int(parts[1]) * int(1024 ** UNITS[parts[2]])


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("a text of at least one character")
    return value


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("a path")
    return Path(value)


def _host_and_port(value: Any) -> str:
    pattern = r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+):([0-9]{1,5})"
    parts = re.fullmatch(pattern, value) if isinstance(value, str) else None
    if parts is None or int(parts[2]) > 65535:
        raise ValueError("HOST:PORT, such as 127.0.0.1:50051")
    return str(value)


def _address(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"unix:[^\0]+", value):
        return value
    return _host_and_port(value)


def _yes_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


NUMBER = SettingKind("NUMBER", _number, _read_number)
BYTES = SettingKind("BYTES", _bytes)
TEXT = SettingKind("TEXT", _text)
FILE = SettingKind("FILE", _path)
FOLDER = SettingKind("DIR", _path)
ADDRESS = SettingKind("HOST:PORT", _address)  # or unix:PATH
HOST_AND_PORT = SettingKind("HOST:PORT", _host_and_port)
YES_NO = SettingKind("", _yes_no)
