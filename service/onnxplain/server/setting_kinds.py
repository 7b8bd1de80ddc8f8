"""The kinds of values that settings have: how the file and a flag write them, and their bounds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxplain.graphops.errors import listed

__all__ = [
    "ADDRESS",
    "FILE",
    "FOLDER",
    "HOST_AND_PORT",
    "TEXT",
    "YES_NO",
    "SettingKind",
    "byte_count",
    "number",
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


def whole(least: int, most: int) -> SettingKind:
    """Return the kind of a whole number within bounds."""

    def accept(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return value

    return SettingKind(
        "N", accept, lambda word: int(word) if re.fullmatch(r"-?\d+", word) else word
    )


def one_of(*words: str) -> SettingKind:
    """Return the kind of a word out of several."""

    def accept(value: Any) -> str:
        if value not in words:
            raise ValueError(listed(words))
        return str(value)

    return SettingKind("WORD", accept)


def number(least: int, most: int) -> SettingKind:
    """Return the kind of a number within bounds."""

    def accept(value: Any) -> float:
        if type(value) not in (int, float) or not least <= value <= most:
            raise ValueError(f"a number from {least} to {most}")
        return float(value)

    def read(word: str) -> Any:
        try:
            return float(word)
        except ValueError:
            return word

    return SettingKind("NUMBER", accept, read)


def byte_count(least: str, most: str) -> SettingKind:
    """Return the kind of a number of bytes within bounds, which are written as the file has it."""

    def accept(value: Any) -> int:
        count = _bytes(value)
        if count is None or not (_bytes(least) or 0) <= count <= (_bytes(most) or 0):
            raise ValueError(f"a number of bytes from {least} to {most}")
        return count

    return SettingKind("BYTES", accept)


def _bytes(value: Any) -> int | None:
    if type(value) is int:
        return value
    parts = re.fullmatch(r"(\d{1,20})([KMGT]?)", value) if isinstance(value, str) else None
    return int(parts[1]) * int(1024 ** UNITS[parts[2]]) if parts else None


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


TEXT = SettingKind("TEXT", _text)
FILE = SettingKind("FILE", _path)
FOLDER = SettingKind("DIR", _path)
ADDRESS = SettingKind("HOST:PORT", _address)  # or unix:PATH
HOST_AND_PORT = SettingKind("HOST:PORT", _host_and_port)
YES_NO = SettingKind("", _yes_no)
