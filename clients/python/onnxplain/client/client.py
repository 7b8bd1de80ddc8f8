"""The client whose calls block: each method is one of AsyncClient, over a transport that blocks."""

from __future__ import annotations

from typing import Self

from onnxplain.client.async_client import Calls
from onnxplain.client.blocking import blocking
from onnxplain.client.channels import TLS, Channel
from onnxplain.client.connection import RETRIES
from onnxplain.client.operations import AsyncOperation, OperationState
from onnxplain.client.transports import BlockingTransport
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["Client", "ServedOperation"]


class ServedOperation(OperationState):
    """Long work that a service does, whether or not its client is still there."""

    def __init__(self, calls: AsyncOperation) -> None:
        self._calls = calls

    @property
    def message(self) -> pb.Operation:  # type: ignore[override]
        """The state as the service last told it."""
        return self._calls.message

    refresh = blocking(AsyncOperation.refresh)
    wait = blocking(AsyncOperation.wait)
    result = blocking(AsyncOperation.result)
    cancel = blocking(AsyncOperation.cancel)
    delete = blocking(AsyncOperation.delete)


def _served(operations: list[AsyncOperation]) -> list[ServedOperation]:
    return list(map(ServedOperation, operations))


class Client:
    """A connection to an onnxplain service. Use it in a `with` block, or close it.

    address: HOST:PORT.
    timeout: seconds that each call may take, repetitions included; None for no limit.
    token: the bearer token that the service asks for. Off this machine it needs `tls`.
    tls: how to connect with TLS; None for plaintext.
    retries: how often a call is repeated that the service did not begin: it could not be reached,
        had no worker free, or asked to come back later.

    Models have the names that the service lists, such as `squeezenet` or `squeezenet/versions/2`,
    with or without `models/` in front. Every call raises ClientError when it fails.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float | None = None,
        token: str | None = None,
        tls: TLS | None = None,
        retries: int = RETRIES,
    ) -> None:
        channel = Channel(address, tls, token)
        self._calls = Calls(BlockingTransport(channel), timeout, retries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def with_timeout(self, timeout: float | None) -> Client:
        """Return a client of the same connection, whose calls may take another time.

        Args:
            timeout: seconds that each call may take, None for no limit.

        Returns:
            The client, which closes when this one does.

        Raises:
            Nothing.
        """
        other = Client.__new__(Client)
        other._calls = self._calls.with_timeout(timeout)
        return other

    close = blocking(Calls.close)
    list_models = blocking(Calls.list_models)
    model = blocking(Calls.model)
    layers = blocking(Calls.layers)
    methods = blocking(Calls.methods)
    check = blocking(Calls.check)
    explain = blocking(Calls.explain)
    view = blocking(Calls.view)
    evaluate = blocking(Calls.evaluate)
    rewrite = blocking(Calls.rewrite)
    convolutionalize = blocking(Calls.convolutionalize)
    upload = blocking(Calls.upload)
    delete = blocking(Calls.delete)
    store_rewrite = blocking(Calls.store_rewrite)
    start_view = blocking(Calls.start_view, ServedOperation)
    start_evaluate = blocking(Calls.start_evaluate, ServedOperation)
    operation = blocking(Calls.operation, ServedOperation)
    operations = blocking(Calls.operations, _served)
