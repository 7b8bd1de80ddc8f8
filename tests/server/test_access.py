"""Tokens and scopes: which calls a client may make, and as whom the service knows it."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from server.certificates import Authority

from onnxplain.server import make_token
from onnxplain.server.caller import CALLER
from onnxplain.server.credentials import edge_credentials
from onnxplain.server.edge.access import AccessInterceptor, scope_of
from onnxplain.server.edge.call_records import CallInterceptor
from onnxplain.server.errors import ErrorInterceptor
from onnxplain.server.settings import Settings
from onnxplain.server.tokens import Token, digest
from onnxplain.v1 import explain_pb2 as pb

SERVICE = "onnxplain.v1.ExplainService"
LOCAL = [("grpc.enable_http_proxy", 0)]
ALL = frozenset(("infer", "upload", "admin"))


async def name_caller(request, context):
    caller = CALLER.get()
    return f"{caller.name} {'+'.join(sorted(caller.scopes))}".encode()


async def name_caller_in_stream(request, context) -> AsyncIterator[bytes]:
    yield await name_caller(request, context)


HANDLERS = {
    "Explain": grpc.unary_unary_rpc_method_handler(name_caller),
    "View": grpc.unary_stream_rpc_method_handler(name_caller_in_stream),
    "UploadModel": grpc.stream_unary_rpc_method_handler(name_caller),
    "DeleteModel": grpc.unary_unary_rpc_method_handler(name_caller),
    "Both": grpc.stream_stream_rpc_method_handler(name_caller_in_stream),
}


async def calling(tokens, calls, credentials=None, channel_credentials=None):
    """Return the answer, or the status, text and kind, of each (method, metadata)."""
    server = grpc.aio.server(
        interceptors=[CallInterceptor([]), ErrorInterceptor(), AccessInterceptor(tokens)]
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, HANDLERS),))
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    if credentials is None:
        channel = grpc.aio.insecure_channel(
            f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", LOCAL
        )
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
        channel = grpc.aio.secure_channel(f"localhost:{port}", channel_credentials, LOCAL)
    await server.start()
    async with channel:
        found = [await one_call(channel, method, metadata) for method, metadata in calls]
    await server.stop(0)
    return found


async def one_call(channel, method, metadata):
    path = method if method.startswith("/") else f"/{SERVICE}/{method}"
    name = path.rpartition("/")[2]
    try:
        if name in ("Explain", "DeleteModel", "Check"):
            return (await channel.unary_unary(path)(b"", metadata=metadata, timeout=10)).decode()
        if name == "UploadModel":
            call = channel.stream_unary(path)(iter([b"", b""]), metadata=metadata, timeout=10)
            return (await call).decode()
        if name == "View":
            call = channel.unary_stream(path)(b"", metadata=metadata, timeout=10)
        else:
            call = channel.stream_stream(path)(iter([b""]), metadata=metadata, timeout=10)
        return "".join([part.decode() async for part in call])
    except grpc.RpcError as error:
        kind = dict(error.trailing_metadata()).get("onnxplain-error")
        return error.code(), error.details(), kind


def bearer(token):
    return [("authorization", f"Bearer {token}")]


def test_without_tokens_everyone_may_do_everything():
    calls = [(name, []) for name in HANDLERS]
    assert asyncio.run(calling([], calls)) == ["127.0.0.1 admin+infer+upload"] * len(HANDLERS)


def test_a_token_is_needed_and_its_scopes_count():
    tokens = [
        Token("reader", frozenset(["infer"]), digest("r")),
        Token("writer", frozenset(["upload"]), digest("w")),
        Token("root", ALL, digest("a")),
    ]
    asked = [
        (name, bearer(token)) for name in ("Explain", "UploadModel", "DeleteModel")
        for token in ("r", "w", "a")
    ]  # fmt: skip
    found = asyncio.run(calling(tokens, asked))
    allowed = [answer if isinstance(answer, str) else answer[0] for answer in found]
    denied = StatusCode.PERMISSION_DENIED
    assert allowed == [
        "reader infer", denied, "root admin+infer+upload",
        denied, "writer upload", "root admin+infer+upload",
        denied, denied, "root admin+infer+upload",
    ]  # fmt: skip
    assert found[3] == (
        denied,
        "the token 'reader' lacks the scope 'upload', which UploadModel needs: ask the service's "
        "operator for a token with it",
        "Forbidden",
    )


@pytest.mark.parametrize("method", HANDLERS)
@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer wrong")],
        [("authorization", "right")],
        [("authorization", "Basic right")],
        [("x-authorization", "Bearer right")],
    ],
)
def test_no_token_or_a_wrong_one(method, metadata):
    tokens = [Token("one", ALL, digest("right"))]
    ((code, text, kind),) = asyncio.run(calling(tokens, [(method, metadata)]))
    assert (code, kind) == (StatusCode.UNAUTHENTICATED, "Unauthenticated")
    assert "`authorization: Bearer TOKEN`" in text
    assert "wrong" not in text


def test_the_word_bearer_is_in_any_case():
    tokens = [Token("one", ALL, digest("right"))]
    calls = [("Explain", [("authorization", f"{word} right")]) for word in ("bearer", "BEARER")]
    assert asyncio.run(calling(tokens, calls)) == ["one admin+infer+upload"] * 2


def test_health_answers_without_a_token():
    tokens = [Token("one", ALL, digest("right"))]
    (answer,) = asyncio.run(calling(tokens, [("/grpc.health.v1.Health/Check", [])]))
    assert health_pb2.HealthCheckResponse.FromString(answer.encode()).status


def test_every_call_has_its_scope():
    service = pb.DESCRIPTOR.services_by_name["ExplainService"]
    scopes = {m.name: scope_of(f"/{service.full_name}/{m.name}") for m in service.methods}
    others = {name: scope for name, scope in scopes.items() if scope != "infer"}
    assert others == {"UploadModel": "upload", "StoreRewrite": "upload", "DeleteModel": "admin"}
    assert scope_of("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo") == "infer"
    assert scope_of("/inference.GRPCInferenceService/ModelInfer") == "infer"


def test_a_made_token_is_let_in():
    token, line = make_token("ci", ["infer"])
    sha256 = line.split('"')[-2]
    tokens = [Token("ci", frozenset(["infer"]), sha256)]
    assert asyncio.run(calling(tokens, [("View", bearer(token))])) == ["ci infer"]
    assert asyncio.run(calling(tokens, [("View", bearer(sha256))]))[0][0] is (
        StatusCode.UNAUTHENTICATED
    )


def test_a_client_s_certificate_names_it(tmp_path):
    authority = Authority(tmp_path)
    server = authority.issue("server")
    cert, key = authority.issue("robot")
    settings = Settings(tls_cert=server[0], tls_key=server[1], client_ca=authority.path)
    root = authority.path.read_bytes()
    known = grpc.ssl_channel_credentials(root, key.read_bytes(), cert.read_bytes())
    calls = [("Explain", []), ("DeleteModel", [])]
    assert (
        asyncio.run(calling([], calls, edge_credentials(settings), known))
        == ["robot admin+infer+upload"] * 2
    )
    unknown = grpc.ssl_channel_credentials(root)
    ((code, _, _),) = asyncio.run(
        calling([], [("Explain", [])], edge_credentials(settings), unknown)
    )
    assert code is StatusCode.UNAVAILABLE
