"""`onnxplain worker`: run a worker for services on other machines."""

from __future__ import annotations

import argparse
from typing import Any

from onnxplain.cli.output import printable
from onnxplain.cli.setting_flags import add_setting_flags, read_settings

__all__ = ["add_parser", "run"]

SETTINGS = (
    "models",
    "store",
    "listen",
    "drain_seconds",
    "device",
    "worker_cert",
    "worker_key",
    "worker_ca",
    "threads",
    "memory_bytes",
    "grace_seconds",
    "concurrency",
    "batch",
    "delay_ms",
    "log_format",
)


def add_parser(commands: Any) -> None:
    """Add the command to the subparsers of the command line."""
    parser = commands.add_parser(
        "worker",
        help="run a worker for services on other machines",
        description="Run one worker until Ctrl-C, for services that name its address in "
        "`remote_workers`. It does what every caller asks: an address that other machines can "
        "reach needs a certificate, its key and the authority that signed those of the services.",
        allow_abbrev=False,
    )
    add_setting_flags(parser, SETTINGS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the worker until SIGINT or SIGTERM."""
    from onnxplain.server import serve_worker
    from onnxplain.server.logs import configure_log

    # Its own certificates protect it, not those that clients see.
    settings = read_settings(arguments, insecure=True).checked()
    configure_log(settings.log_format)
    serve_worker(settings, lambda address: print(printable(f"worker on {address}"), flush=True))
