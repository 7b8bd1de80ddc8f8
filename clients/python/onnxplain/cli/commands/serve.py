"""`onnxplain serve`: run the gRPC service, for clients in any language."""

from __future__ import annotations

import argparse
from typing import Any

from onnxplain.cli.output import printable

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "serve",
        help="serve a folder of models over gRPC",
        description="Serve a folder of models over gRPC until Ctrl-C. A line on stdout gives the "
        "address once the service is ready.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--models",
        metavar="DIR",
        default=".",
        help="folder of NAME.onnx files or NAME/VERSION/model.onnx (default: this folder)",
    )
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:50051",
        help="address to listen on (default: %(default)s); port 0 is any free port",
    )
    parser.add_argument(
        "--device", metavar="DEVICE", default="auto", help="auto (default), cpu, cuda or cuda:N"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    from onnxplain.server import serve

    def ready(address: str) -> None:
        print(printable(f"serving '{arguments.models}' on {address}"), flush=True)

    serve(arguments.models, arguments.listen, arguments.device, ready)
