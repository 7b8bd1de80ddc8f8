"""Flags for settings of the service, as these are declared."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from onnxplain.server.config import Configuration, declarations, read_configuration
from onnxplain.server.settings import Declaration, Settings

__all__ = ["add_setting_flags", "read_settings"]


def add_setting_flags(parser: argparse.ArgumentParser, names: Collection[str] = ()) -> None:
    """Add the flags of the named settings to a parser, of all where none is named."""
    groups: dict[str, Any] = {}
    for name, declaration in declarations().items():
        if declaration.kind is not None and (not names or name in names):
            if declaration.group not in groups:
                groups[declaration.group] = parser.add_argument_group(declaration.group.lower())
            _add_flag(groups[declaration.group], name, declaration)


def read_settings(
    arguments: argparse.Namespace,
    path: Path | None = None,
    try_device: Callable[[str], object] | None = None,
    **more: Any,
) -> Configuration:
    """Read the settings in a file, in flags and in `more`, as `read_configuration` does.

    Raises MissingFile, OptionError.
    """
    given = {name: getattr(arguments, name, None) for name in declarations()}
    flags = {name: value for name, value in given.items() if value is not None}
    return read_configuration(path, flags | more, try_device)


def _add_flag(group: Any, name: str, declaration: Declaration) -> None:
    """Add the flag of a setting; its value is None if the flag is absent."""
    kind, default = declaration.kind, getattr(Settings, name)
    assert kind is not None
    flag = name.replace("_", "-")
    if isinstance(default, bool):
        group.add_argument(
            f"--no-{flag}" if default else f"--{flag}",
            dest=name,
            action="store_const",
            const=not default,
            help=("do not " if default else "") + declaration.help,
        )
        return
    text = declaration.help + ("; may be repeated" if declaration.many else "")
    group.add_argument(
        f"--{flag}",
        metavar=kind.metavar,
        action="append" if declaration.many else "store",
        help=f"{text} (default: {declaration.shown_default(default)})",
    )
