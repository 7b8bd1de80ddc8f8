"""The address that a server listens on."""

from __future__ import annotations

import errno
import os
import socket

import grpc

from onnxplain.graphops.errors import OptionError, ServiceError
from onnxplain.server.setting_kinds import ADDRESS

__all__ = ["MAX_REQUEST_BYTES", "bind", "check_address"]

MAX_REQUEST_BYTES = 64 * 2**20  # promised in explain.proto


def bind(
    server: grpc.aio.Server, listen: str, credentials: grpc.ServerCredentials | None = None
) -> str:
    """Have a server listen on an address.

    Args:
        server: the server, not yet started.
        listen: HOST:PORT, where port 0 is any free port, or unix:PATH.
        credentials: for TLS.

    Returns:
        The address, with the port that was taken.

    Raises:
        OptionError: `listen` is no address.
        ServiceError: the port is in use, or the host is not this machine.
    """
    check_address(listen)
    if listen.startswith("unix:"):
        _add_port(server, listen, credentials)
        return listen
    host, _, port = listen.rpartition(":")
    _require_free(host, int(port))
    return f"{host}:{_add_port(server, listen, credentials)}"


def _add_port(
    server: grpc.aio.Server, listen: str, credentials: grpc.ServerCredentials | None
) -> int:
    try:
        if credentials is None:
            return server.add_insecure_port(listen)
        return server.add_secure_port(listen, credentials)
    except RuntimeError as e:
        raise ServiceError(f"cannot listen on {listen}: {e}") from e


def check_address(listen: str) -> None:
    """Raise OptionError if an address to listen on is neither HOST:PORT nor unix:PATH."""
    try:
        ADDRESS.accept(listen)
    except ValueError as e:
        raise OptionError(f"'{listen}' is not an address to listen on: write {e}") from e


def _require_free(host: str, port: int) -> None:
    """Raise ServiceError with the reason why the port cannot be bound, which gRPC omits."""
    try:
        addresses = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except socket.gaierror as e:
        raise ServiceError(f"cannot listen on {host}:{port}: no such host ({e.strerror})") from e
    for family, kind, protocol, _, address in addresses:
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":  # gRPC sets it too; elsewhere the option means something else
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as e:
                if e.errno == errno.EADDRINUSE:
                    raise ServiceError(
                        f"port in use: another program listens on {host}:{port}; stop it, or "
                        "listen on another port (0 is any free port)"
                    ) from e
                if e.errno == errno.EADDRNOTAVAIL and len(addresses) > 1:
                    continue  # such as `localhost` without IPv6: another address may do
                raise ServiceError(f"cannot listen on {host}:{port}: {e.strerror}") from e
