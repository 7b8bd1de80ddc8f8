"""The connection to the server that --server names, secured by variables of the environment.

They are no flags: a token on a command line can be read by all users of the machine.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxplain.client import TLS, Client

__all__ = ["SERVER_HELP", "connect"]

SYSTEM = "system"
SERVER_HELP = (
    "address of an `onnxplain serve` to run this on; with the token in ONNXPLAIN_TOKEN, and with "
    f"TLS if ONNXPLAIN_CA names the authority's certificate or is '{SYSTEM}'"
)


def connect(server: str) -> Client:
    """Return a client of the server at HOST:PORT. Raises ClientError."""
    from onnxplain.client import Client

    token = os.environ.get("ONNXPLAIN_TOKEN", "").strip() or None
    return Client(server, token=token, tls=_tls())


def _tls() -> TLS | None:
    from onnxplain.client import TLS

    names = {"ca": "CA", "cert": "CERT", "key": "KEY", "server_name": "SERVER_NAME"}
    given = {field: os.environ.get(f"ONNXPLAIN_{name}") for field, name in names.items()}
    if not any(given.values()):
        return None
    if given["ca"] == SYSTEM:
        given["ca"] = None
    return TLS(**{field: value or None for field, value in given.items()})
