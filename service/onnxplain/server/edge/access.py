"""Who may make which call: tokens, client certificates, and the scope that each call needs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc

from onnxplain.graphops.errors import Forbidden, Unauthenticated
from onnxplain.server.caller import CALLER, Caller
from onnxplain.server.edge.call_records import RECORD, wrapped
from onnxplain.server.tokens import SCOPES, Token, find_token
from onnxplain.v1 import explain_pb2

__all__ = ["OPEN", "AccessInterceptor", "scope_of"]

EXPLAIN = explain_pb2.DESCRIPTOR.services_by_name["ExplainService"].full_name
SCOPE = {
    f"/{EXPLAIN}/UploadModel": "upload",
    f"/{EXPLAIN}/StoreRewrite": "upload",
    f"/{EXPLAIN}/DeleteModel": "admin",
}
OPEN = "/grpc.health.v1.Health/"

Context = grpc.aio.ServicerContext[Any, Any]


def scope_of(method: str) -> str:
    """Return the scope that a call needs, "" if everyone may make it."""
    return "" if method.startswith(OPEN) else SCOPE.get(method, "infer")


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Ends a call that its client may not make, and sets CALLER for one that it may.

    tokens: of which each call but health must show one. Without any, every client may do
    everything; where clients show certificates, they are known by their common names.
    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the call's handler, wrapped to check the caller first."""
        handler = await continuation(handler_call_details)
        if handler is None or not (scope := scope_of(handler_call_details.method)):
            return handler

        def begin(context: Context) -> None:
            caller = self._identify(context)
            _set(caller)
            if scope not in caller.scopes:
                raise Forbidden(
                    f"the token '{caller.name}' lacks the scope '{scope}', which "
                    f"{handler_call_details.method.rpartition('/')[2]} needs: ask the service's "
                    "operator for a token with it"
                )

        token = self._token(handler_call_details.invocation_metadata)
        if self._tokens and (token is None or scope not in token.scopes):
            # Of a stream gRPC reads nothing by itself: a call that is refused sends no request.
            handler = grpc.stream_stream_rpc_method_handler(_refused)
        return wrapped(handler, begin)

    def name(self, context: Context) -> str:
        """Return the name of a call's client, "" if its token or certificate does not tell."""
        if self._tokens:
            token = self._token(context.invocation_metadata())
            return token.name if token else ""
        shown_name = next(iter(context.auth_context().get("x509_common_name", ())), b"")
        return re.sub(r"[^!-~]", "?", shown_name.decode(errors="replace"))

    def _token(self, metadata: Any) -> Token | None:
        word, _, text = str(dict(metadata or ()).get("authorization", "")).partition(" ")
        return find_token(self._tokens, text.strip()) if word.lower() == "bearer" else None

    def _identify(self, context: Context) -> Caller:
        """Return the caller. Raises Unauthenticated."""
        unknown = CALLER.get()
        if not self._tokens:
            return Caller(self.name(context) or unknown.name, frozenset(SCOPES), unknown.request_id)
        metadata = context.invocation_metadata()
        token = self._token(metadata)
        if token is None:
            shown = dict(metadata or ()).get("authorization")
            what = "no token that it knows" if shown else "no token"
            raise Unauthenticated(
                f"the service was shown {what}: send the metadata `authorization: Bearer TOKEN`, "
                "as onnxplain's clients do with `token`, and its command line with ONNXPLAIN_TOKEN"
            )
        return Caller(token.name, token.scopes, unknown.request_id)


async def _refused(_: Any, context: Context) -> None:
    """Stand in for the behaviour of a call that ends before it."""


def _set(caller: Caller) -> None:
    CALLER.set(caller)
    if record := RECORD.get():
        record.caller = caller.name
