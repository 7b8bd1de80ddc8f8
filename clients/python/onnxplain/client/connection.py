"""The connection to a service: how a call is made, and how its failure becomes a ClientError."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import grpc
from grpc import StatusCode

from onnxplain.client.errors import ClientError, plain_errors
from onnxplain.v1 import explain_pb2_grpc

__all__ = ["Connection"]


class Connection:
    """A channel to the service at `address`, whose calls may take `timeout` seconds each."""

    def __init__(self, address: str, *, timeout: float | None = None) -> None:
        if not re.search(r":\d+$|^unix:", address):
            raise ClientError(
                StatusCode.INVALID_ARGUMENT,
                f"'{address}' is not the address of a service: write HOST:PORT",
                "OptionError",
            )
        self._address = address
        self._timeout = timeout
        # gRPC would send even local calls through the proxy that the environment names.
        local = re.match(r"localhost:|127\.|\[::1\]", address) is not None
        self._channel = grpc.insecure_channel(
            address, [("grpc.enable_http_proxy", 0)] if local else []
        )
        self._stub = explain_pb2_grpc.ExplainServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _call(self, call: Any, request: Any) -> Any:
        """Return the one message that is the response of a call."""
        with plain_errors(self._address, self._timeout):
            return call(request, self._timeout)

    @contextmanager
    def _stream(self, call: Any, request: Any) -> Iterator[Any]:
        """Yield the response stream of a call, which is cancelled when the block is left early."""
        with plain_errors(self._address, self._timeout):
            stream = call(request, self._timeout)
            try:
                yield stream
            finally:
                stream.cancel()  # no effect on a stream that has ended
