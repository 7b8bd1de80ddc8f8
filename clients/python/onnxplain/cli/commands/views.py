"""The commands that draw a declared view, such as `onnxplain top` and `onnxplain occlusion`."""

from __future__ import annotations

import argparse
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from onnxplain.cli.arguments import add_model, add_size
from onnxplain.cli.class_argument import chosen_class
from onnxplain.cli.commands.explain import units
from onnxplain.cli.drawing import (
    LOCAL_OR_SERVED,
    add_drawing,
    forbid_engine_flags,
    local_engine,
    output_files,
    report,
    style_options,
    write,
)
from onnxplain.cli.inputs import IMAGE_HELP, opened, stem
from onnxplain.cli.output import print_json, printable, table
from onnxplain.cli.progress import working
from onnxplain.engine.labels import read_labels
from onnxplain.engine.views import DECLARED_VIEWS, ViewArgument, ViewCommand, ViewDeclaration

if TYPE_CHECKING:
    from onnxplain.engine import View

__all__ = ["add_parser", "run"]

PARSERS: Mapping[str, Callable[[str], Any]] = {
    "text": str,
    "integer": int,
    "channels": units,
    "units": units,
    "class": str,
}


def add_parser(commands: Any) -> None:
    """Add the commands of the declared views to the subparsers of the command line."""
    for view in DECLARED_VIEWS.values():
        if view.command is not None:
            _add_command(commands, view, view.command)


def _add_command(commands: Any, view: ViewDeclaration, command: ViewCommand) -> None:
    parser = commands.add_parser(
        view.name,
        help=command.help,
        description=command.description,
        epilog="Arrays of --npz: " + "; ".join(f"{n} ({what})" for n, what in view.arrays.items()),
        allow_abbrev=False,
    )
    if view.models == "one":
        add_model(parser, LOCAL_OR_SERVED + command.model_help)
    else:
        parser.add_argument(
            "models",
            metavar="MODEL",
            nargs="+",
            help="ONNX files in the order of training, or with --server names of served models",
        )
    if view.pictures == "several":
        parser.add_argument(
            "folder", metavar="FOLDER", help="a folder of pictures, with subfolders"
        )
    elif view.models == "one":
        parser.add_argument("image", metavar="IMAGE", help=IMAGE_HELP)
    else:  # a flag: argparse would take a positional argument as one of the models
        parser.add_argument("--image", metavar="IMAGE", required=True, help=IMAGE_HELP)
    for argument in view.arguments:
        if argument.flag:
            _add_flag(parser, argument)
    add_drawing(parser, view.name if view.pictures == "several" else f"IMAGE_{view.name}")
    if command.rows:
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=partial(run, view, command))


def _add_flag(parser: argparse.ArgumentParser, argument: ViewArgument) -> None:
    if argument.type == "size":
        add_size(parser, argument.help)
        return
    parser.add_argument(
        *filter(None, (argument.flag, argument.alias)),
        dest=argument.name,
        metavar=argument.metavar,
        type=PARSERS[argument.type],
        action="append" if argument.many else "store",
        default=argument.default,
        required=argument.required,
        help=argument.help + (f" (default: {argument.default})" if argument.default else ""),
    )


def run(view: ViewDeclaration, command: ViewCommand, arguments: argparse.Namespace) -> None:
    """Draw the view on this machine or on a server, write its files and print its summary."""
    several = view.pictures == "several"
    pictures, names = _pictures(arguments.folder) if several else ([arguments.image], [])
    base = view.name if several else f"{stem(arguments.image)}_{view.name}"
    files = output_files(arguments, f"{base}.png", pictures)
    flags = {argument.name for argument in view.arguments if argument.flag}
    options = {name: value for name in flags if (value := getattr(arguments, name)) is not None}
    for argument in view.arguments:
        if argument.type == "class" and argument.name in options:
            options[argument.name] = chosen_class(arguments, options[argument.name])
    if names:
        options["names"] = names
    draw = _draw_remotely if arguments.server else _draw_locally
    drawn = draw(view, command, arguments, opened(pictures), options)
    written = write(drawn, files, arguments)
    arrays = drawn.arrays()
    if command.rows:
        rows = pkgutil.resolve_name(command.rows)(arrays, pictures)
        if arguments.json:
            print_json(rows)
            report(drawn, ())
            return
        print(table(command.columns, [[_cell(row[c]) for c in command.columns] for row in rows]))
    if command.summary:
        for line in pkgutil.resolve_name(command.summary)(arrays):
            print(printable(line))
    report(drawn, written)


def _draw_locally(
    view: ViewDeclaration,
    command: ViewCommand,
    arguments: argparse.Namespace,
    pictures: Sequence[str | bytes],
    options: Mapping[str, Any],
) -> View:
    labels = read_labels(arguments.labels)
    with working(command.doing) as progress:
        return view.compute(
            local_engine(arguments),
            _models(arguments),
            pictures,
            progress,
            progress.runs,
            labels=labels,
            preprocess=arguments.preprocess,
            **options,
        )


def _draw_remotely(
    view: ViewDeclaration,
    command: ViewCommand,
    arguments: argparse.Namespace,
    pictures: Sequence[str | bytes],
    options: Mapping[str, Any],
) -> View:
    forbid_engine_flags(arguments)
    labels = read_labels(arguments.labels)
    *earlier, model = _models(arguments)
    checkpoints: dict[str, Any] = {"earlier": earlier} if earlier else {}
    with working(f"waiting for {arguments.server}") as progress:
        from onnxplain.cli.connecting import connect
        from onnxplain.cli.served_view import RemoteView
        from onnxplain.engine.drawing import format_of

        with connect(arguments.server) as client:
            drawn = client.view(
                model,
                pictures,
                view.name,
                preprocess=arguments.preprocess,
                labels=labels,
                progress=progress,
                passes=progress.runs,
                format=format_of(arguments.output) if arguments.output else "png",
                panels=bool(arguments.panels),
                **style_options(arguments),
                **options,
                **checkpoints,
            )
        return RemoteView(drawn)


def _models(arguments: argparse.Namespace) -> list[str]:
    return getattr(arguments, "models", None) or [arguments.model]


def _pictures(folder: str) -> tuple[list[str], list[str]]:
    """Return the paths and names of the pictures in a folder. Raises MissingFile if it has none."""
    from onnxplain.engine.pictures import folder_pictures, names_in

    paths = folder_pictures(folder)
    return list(map(str, paths)), names_in(folder, paths)


def _cell(value: Any) -> str:
    """Return the text of a table cell: numbers to four digits, lists separated by commas."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
