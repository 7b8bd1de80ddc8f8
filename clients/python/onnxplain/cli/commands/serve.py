"""`onnxplain serve`: run the gRPC service, for clients in any language."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from onnxplain.cli.output import printable
from onnxplain.cli.setting_flags import add_setting_flags, read_settings
from onnxplain.server.settings import Settings
from onnxplain.server.tokens import SCOPES, make_token

__all__ = ["add_parser", "run"]

EPILOG = """\
A flag takes the place of its key in the configuration file: --drain-seconds 9 of drain_seconds = 9.
"""


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "serve",
        help="serve folders of models over gRPC",
        description="Serve folders of models over gRPC until Ctrl-C. A line on stdout gives the "
        "address once the service is ready.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="FILE", help="a TOML file of the settings below")
    parser.add_argument(
        "--check-config", action="store_true", help="print what is wrong with the settings, and end"
    )
    parser.add_argument(
        "--in-process",
        action="store_true",
        help="run all in one process, which a model that crashes takes down; elsewhere than on "
        "Linux the only way",
    )
    parser.add_argument(
        "--new-token", metavar="NAME", help="print a new token and its line for the file, and end"
    )
    parser.add_argument(
        "--scopes",
        metavar="SCOPES",
        default="infer",
        help=f"what the new token allows: some of {','.join(SCOPES)} (default: %(default)s)",
    )
    add_setting_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM, check the settings, or make a token."""
    if arguments.new_token is not None:
        token, line = make_token(arguments.new_token, arguments.scopes.split(","))
        print(f"the token, which is shown only now:\n{token}\nits line in [tokens]:\n{line}")
        return
    path = None if arguments.config is None else Path(arguments.config)
    if arguments.check_config:
        from onnxplain.engine import Engine

        _report(read_settings(arguments, path, try_device=Engine).problems)
    else:
        _serve(read_settings(arguments, path).checked(), arguments.in_process)


def _serve(settings: Settings, in_process: bool) -> None:
    # gRPC would write lines of its own into the log, such as one for each failed TLS handshake.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from onnxplain.server import serve_settings
    from onnxplain.server.logs import configure_log

    configure_log(settings.log_format)
    folders = ", ".join(f"'{folder}'" for folder in settings.models)

    def ready(address: str) -> None:
        print(printable(f"serving {folders} on {address}"), flush=True)

    serve_settings(settings, ready, in_process=in_process)


def _report(problems: tuple[str, ...]) -> None:
    """Print each problem on a line of its own, or that there is none."""
    for problem in problems:
        print(printable(problem))
    if problems:
        raise SystemExit(2)
    print("nothing is wrong with the settings")
