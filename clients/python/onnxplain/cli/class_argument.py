"""The flag --class, which takes the index or the name of a class."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from onnxplain.cli.failures import UsageError
from onnxplain.engine.labels import read_labels

__all__ = ["CLASS_HELP", "add_class", "chosen_class"]

CLASS_HELP = "the index of a class, or its name in --labels or in the model's metadata"


def add_class(parser: argparse.ArgumentParser, text: str, several: bool = False) -> None:
    """Add --class. text: what is done with the class. several: whether it may be repeated."""
    parser.add_argument(
        "--class",
        dest="class_name",
        metavar="CLASS",
        action="append" if several else "store",
        help=f"{text}: {CLASS_HELP}" + ("; may be repeated" if several else ""),
    )


def chosen_class(arguments: argparse.Namespace, text: str | None) -> int | None:
    """Return the index of the class that a flag names, None where it is absent.

    Names are read from --labels, or else from the metadata of the model, local or served. Raises
    OptionError for an unknown or ambiguous name, UsageError for several indices.
    """
    if text is None:
        return None
    from onnxplain.engine.class_names import class_index

    if text.isdecimal():
        return int(text)
    if all(part.strip().isdecimal() for part in text.split(",")):
        raise UsageError(f"--class {text}: it names one class, name several by --channel {text}")
    labels = read_labels(arguments.labels)
    return class_index(text, _stored(arguments) if labels is None else labels)


def _stored(arguments: argparse.Namespace) -> Sequence[str]:
    """Return the class names in the model's metadata."""
    from onnxplain.engine.runtime import labels_in

    if getattr(arguments, "server", None):
        from onnxplain.cli.connecting import connect

        with connect(arguments.server) as client:
            return labels_in(client.model(arguments.model).metadata)
    from onnxplain.graphops import load, read_metadata

    return labels_in(read_metadata(load(arguments.model)))
