"""Flags that several commands share; those of options follow from the options' declarations.

Names of layers, methods and forms are not checked here: the library names the nearest ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

from onnxplain.engine.methods import METHODS, method_options
from onnxplain.graphops import options as o
from onnxplain.graphops.errors import listed
from onnxplain.graphops.methods import DEFAULT_METHOD

__all__ = [
    "add_method_options",
    "add_option",
    "add_model",
    "add_path",
    "add_seed",
    "add_size",
    "byte_count",
    "channel_list",
    "chosen_method_options",
    "exportable",
]


def add_model(parser: argparse.ArgumentParser, text: str = "an ONNX file") -> None:
    """Add the positional argument MODEL."""
    parser.add_argument("model", metavar="MODEL", help=text)


def add_path(parser: argparse.ArgumentParser, methods: Iterable[str], several: str = "") -> None:
    """Add the flags of the backward pass: its layer, method, target tensor and form."""
    parser.add_argument(
        "--layer",
        metavar="LAYER",
        help="a tensor, node or module path, see `onnxplain layers` (default: the class score, "
        "which is the output before a final Softmax)",
    )
    parser.add_argument(
        "--method",
        metavar="METHOD",
        default=DEFAULT_METHOD,
        help=f"{listed(methods)}{several}; see `onnxplain methods` (default: {DEFAULT_METHOD})",
    )
    for option, metavar in ((o.TO, "TENSOR"), (o.UNPOOL, "FORM"), (o.CHANNEL_AXIS, "AXIS")):
        add_option(parser, option, metavar)


def add_size(parser: argparse.ArgumentParser, text: str) -> None:
    """Add --size HxW."""
    parser.add_argument("--size", metavar="HxW", type=_size, help=text)


def add_seed(parser: argparse.ArgumentParser, positions: str) -> None:
    """Add the flags of the cotangent: its position, one of `positions`, and its value."""
    add_option(parser, o.POSITION, "POSITION", words=positions)
    add_option(parser, o.SEED_VALUE, "VALUE")
    add_option(parser, o.NEGATE)


def add_option(
    parser: argparse._ActionsContainer,
    option: o.Option,
    metavar: str | None = None,
    methods: str = "",
    words: str = "",
    flag: str = "",
    exported: bool = False,
) -> None:
    """Add the flag of an option, whose value is None if the flag is absent.

    methods: those that take the option, if not all do. words: the values that the help names.
    flag: its name, if that does not follow from the option's. exported: whether for a rewrite.
    """
    no = "no-" if option.type is bool and option.default else ""
    flag = f"--{flag or no + option.name.replace('_', '-')}"
    text = f"for {methods}: " if methods else ""
    if option.type is bool:
        parser.add_argument(
            flag,
            dest=option.name,
            action="store_const",
            const=not option.default,
            help=text + ("do not " if option.default else "") + option.help,
        )
        return
    text += option.help
    if words or option.choices:
        text += f": {words or listed(option.choices)}"
    if option.each:
        text += f", one number or one per {option.each}"
    if exported and option.required_exported:
        text += " (required)"
    elif default := option.default_text or option.shown_default:
        text += f" (default: {default})"
    parser.add_argument(
        flag, metavar=metavar or _metavar(option), type=_parser_of(option), help=text
    )


def exportable() -> list[str]:
    """Return the names of the methods that one graph computes."""
    return [name for name, method in METHODS.items() if method.exportable]


def add_method_options(parser: argparse.ArgumentParser, exported: bool) -> None:
    """Add the methods' own options; if `exported`, only those that an artefact bakes in."""
    group = parser.add_argument_group("options of single methods")
    for option in method_options().values():
        takers = [m for m in METHODS.values() if option in m.takes]
        takers = [m for m in takers if m.exportable or not exported]
        if takers and not (exported and option.input):
            add_option(group, option, methods=", ".join(m.name for m in takers), exported=exported)


def chosen_method_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the methods' own options that are set, by their names in the library."""
    values = {name: getattr(arguments, name, None) for name in method_options()}
    return {name: value for name, value in values.items() if value is not None}


def byte_count(text: str) -> int:
    """Parse '512M' or '2G' into bytes."""
    powers = {"": 0, "K": 1, "M": 2, "G": 3}
    number, unit = text.rstrip("KMGkmg"), text[len(text.rstrip("KMGkmg")) :].upper()
    if not number.isdecimal() or not int(number) or unit not in powers:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a size: write a number of bytes, or such as 512M or 2G"
        )
    return int(number) * int(1024 ** powers[unit])


def channel_list(text: str) -> tuple[int, ...]:
    """Parse '3,7' into (3, 7), and '0:4' into (0, 1, 2, 3)."""
    numbers: list[int] = []
    try:
        for part in text.split(","):
            first, colon, end = part.partition(":")
            numbers += range(int(first), int(end)) if colon else [int(first)]
    except ValueError as e:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a list of channels: write comma-separated numbers such as 3,7, or a "
            "range such as 0:32"
        ) from e
    if not numbers:
        raise argparse.ArgumentTypeError(f"'{text}' is an empty range of channels")
    return tuple(numbers)


def _size(text: str) -> tuple[int, ...]:
    """Parse '224x224' into (224, 224)."""
    sizes = text.lower().split("x")
    if not all(s.isdecimal() and int(s) > 0 for s in sizes):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size: write HxW, such as 224x224")
    return tuple(int(s) for s in sizes)


def _numbers(text: str) -> tuple[float, ...]:
    """Parse '-2.1,-2,-1.8' into floats."""
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as e:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a list of numbers: write comma-separated numbers such as -2.1,-2"
        ) from e


def _number_or_numbers(text: str) -> float | tuple[float, ...]:
    """Parse '0.5' into a number, and '0.5,0,-1' into a tuple."""
    numbers = _numbers(text)
    return numbers if len(numbers) > 1 else numbers[0]


def _parser_of(option: o.Option) -> Callable[[str], Any]:
    """Return the function that parses an option's value."""
    if not option.each:
        parse: Callable[[str], Any] = option.type
        return parse
    if option.type is int:
        return channel_list
    return _number_or_numbers if option.input else _numbers


def _metavar(option: o.Option) -> str:
    if option.type is str:
        return "WORD" if option.choices else "NAME"
    return "N[,N]" if option.each else "N"
