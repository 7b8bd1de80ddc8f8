"""Reads the configuration file and the flags of `serve`, and says everything that is wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from onnxplain.graphops.errors import OnnxplainError, OptionError, missing_file, nearest, one_line
from onnxplain.server.setting_checks import contradictions
from onnxplain.server.setting_kinds import FILE, FOLDER, SettingKind
from onnxplain.server.settings import Declaration, Settings
from onnxplain.server.tokens import Token, token_of

__all__ = ["Configuration", "declarations", "read_configuration"]


@dataclass(frozen=True)
class Configuration:
    """The settings as read, and what is wrong with them.

    settings: with the default in place of each value that is wrong. problems: one line each, which
    begins with the file's name and the line, or with the flag.
    """

    settings: Settings
    problems: tuple[str, ...]

    def checked(self) -> Settings:
        """Return the settings; raises OptionError with all problems if there are any."""
        if self.problems:
            raise OptionError("; ".join(self.problems))
        return self.settings


def declarations() -> dict[str, Declaration]:
    """Return the declarations of all settings, by their names."""
    return {field.name: field.metadata["declaration"] for field in fields(Settings)}


def read_configuration(
    path: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    try_device: Callable[[str], object] | None = None,
) -> Configuration:
    """Read the settings.

    Args:
        path: the TOML file, None for none. Paths in it are relative to its folder.
        flags: words of the command line by setting, lists of them where a setting has many; they
            take the place of the file's.
        try_device: raises OnnxplainError for a device that this machine does not have.

    Returns:
        The settings and all problems: unknown keys, values, and settings that do not fit together.

    Raises:
        MissingFile: there is no such file.
        OptionError: the file cannot be read, or is not TOML.
    """
    reader = _Reader(path)
    for name, value in (flags or {}).items():
        reader.take_flag(name, value)
    settings = Settings(**reader.values)
    wrong = set(reader.wrong)
    for name, text in contradictions(settings):
        if name not in wrong:
            reader.report(name, text)
    if try_device is not None and "device" not in wrong:
        for device in dict.fromkeys(settings.device):
            try:
                try_device(device)
            except OnnxplainError as e:
                reader.report("device", f"'{device}' cannot be used: {one_line(e)}")
    ordered = sorted(reader.problems, key=lambda problem: problem[0])
    return Configuration(settings, tuple(text for _, text in ordered))


class _Reader:
    """Collects values by setting, and the problems, each with its place."""

    def __init__(self, path: Path | None) -> None:
        self.values: dict[str, Any] = {}
        self.problems: list[tuple[int, str]] = []  # with the line, 0 for flags
        self.wrong: set[str] = set()
        self._flags: set[str] = set()
        self._path = path
        self._text = "" if path is None else _text_of(path)
        if path is None:
            return
        try:
            table = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as e:
            raise OptionError(f"{path}: not TOML: {e}") from e
        for name, value in table.items():
            self._take_key(name, value)

    def take_flag(self, name: str, value: Any) -> None:
        """Take the words of a flag."""
        declaration = declarations()[name]
        assert declaration.kind is not None
        read = declaration.kind.read
        if isinstance(value, str):
            value = read(value)
        elif not isinstance(value, bool):
            value = [read(word) for word in value]
        self._flags.add(name)
        self.wrong.discard(name)
        self._take(name, declaration.kind, declaration.many, value)

    def report(self, name: str, text: str) -> None:
        """Add a problem of a setting, `tokens.NAME` for one token."""
        self.wrong.add(name.partition(".")[0])
        line, place = self._place(name)
        self.problems.append((line, f"{place}: {text}"))

    def _take_key(self, name: str, value: Any) -> None:
        if name not in (known := declarations()):
            self.report(name, f"no setting '{name}' ({nearest(name, known)})")
        elif name == "tokens":
            self._take_tokens(value)
        elif (kind := known[name].kind) is not None:
            self._take(name, kind, known[name].many, value)

    def _take(self, name: str, kind: SettingKind, many: bool, value: Any) -> None:
        if many != isinstance(value, list) or value == []:
            shape = "a list of at least one value" if many else "a single value"
            self.report(name, f"`{name}` must be {shape}")
            return
        taken = []
        for each in value if many else [value]:
            try:
                accepted = kind.accept(each)
            except ValueError as e:
                self.report(name, f"`{name}` must be {e}, not {_quoted(each)}")
                continue
            if kind in (FILE, FOLDER) and self._path and name not in self._flags:
                accepted = self._path.parent / accepted
            taken.append(accepted)
        if name not in self.wrong:
            self.values[name] = tuple(taken) if many else taken[0]

    def _take_tokens(self, table: Any) -> None:
        if not isinstance(table, dict):
            self.report("tokens", "`tokens` must be a table: [tokens]")
            return
        if not table:
            self.report("tokens", "`tokens` has no token: name one, or leave the table out")
        tokens: list[Token] = []
        for name, entry in table.items():
            try:
                tokens.append(token_of(name, entry))
            except ValueError as e:
                self.report(f"tokens.{name}", f"token '{name}': {e}")
        self.values["tokens"] = tuple(tokens)

    def _place(self, name: str) -> tuple[int, str]:
        """Return where a setting has its value: the line, 0 for none, and the file or the flag."""
        key, _, entry = name.partition(".")
        if key in self._flags:
            return 0, f"--{key.replace('_', '-')}"
        if self._path is None:
            return 0, "settings"
        start = self._text.find("tokens") if entry else 0
        name = re.escape(entry or key)
        found = re.compile(
            rf"^[ \t]*\[?[ \t]*(?:tokens\.)?[\"']?{name}[\"']?\s*[=\].]", re.M
        ).search(self._text, max(start - 1, 0))
        line = self._text.count("\n", 0, found.start()) + 1 if found else 0
        return line, f"{self._path}:{line}" if line else str(self._path)


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as e:
        raise missing_file(path, what="configuration file") from e
    except (OSError, UnicodeDecodeError) as e:
        raise OptionError(f"{path}: cannot be read: {e}") from e


def _quoted(value: Any) -> str:
    """Return a value as the file or a flag has it, cut where it is long."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
