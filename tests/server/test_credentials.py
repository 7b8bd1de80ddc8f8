"""TLS: who is let in, and certificates that are renewed while the service runs."""

import asyncio
import logging
import shutil

import grpc
import pytest
from server.certificates import Authority

from onnxplain.graphops.errors import OptionError
from onnxplain.server.credentials import (
    Certificates,
    edge_credentials,
    worker_channel_credentials,
    worker_credentials,
)
from onnxplain.server.settings import Settings

LOCAL = [("grpc.enable_http_proxy", 0)]


async def answer(request, context):
    return b"answer"


async def serving(credentials):
    """Return a server whose call /test/Call answers, and its port."""
    server = grpc.aio.server()
    handlers = {"Call": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    return server, port


async def ask(port, credentials):
    """Return the answer, or the status, of a call over a connection of its own."""
    options = [*LOCAL, ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials, options) as channel:
        try:
            return await channel.unary_unary("/test/Call")(b"", timeout=10)
        except grpc.RpcError as error:
            return error.code()


def trusting(authority):
    return grpc.ssl_channel_credentials(authority.path.read_bytes())


def test_a_renewed_certificate_is_read(tmp_path, caplog):
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    cert, key = old.issue("server")

    async def renew():
        server, port = await serving(Certificates(cert, key).server())
        found = [await ask(port, trusting(old)), await ask(port, trusting(new))]
        key.unlink()  # half renewed
        found.append(await ask(port, trusting(old)))
        for renewed, path in zip(new.issue("renewed"), (cert, key), strict=True):
            shutil.copy(renewed, path)
        found += [await ask(port, trusting(old)), await ask(port, trusting(new))]
        await server.stop(0)
        return found

    lost = grpc.StatusCode.UNAVAILABLE
    with caplog.at_level(logging.INFO):
        assert asyncio.run(renew()) == [b"answer", lost, b"answer", lost, b"answer"]
    texts = [record.getMessage() for record in caplog.records]
    assert f"the old certificate stays in use: '{key}' cannot be read: No such file or directory" \
        in texts  # fmt: skip
    assert texts.count(f"read the renewed certificate '{cert}'") == 1


def test_workers_and_edges_show_each_other_certificates(tmp_path):
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    worker_cert, worker_key = authority.issue("worker")
    edge_cert, edge_key = authority.issue("edge")
    stranger_cert, stranger_key = other.issue("stranger")

    async def call():
        credentials = worker_credentials("0.0.0.0:0", worker_cert, worker_key, authority.path)
        server, port = await serving(credentials)
        found = []
        for cert, key, trusted in (
            (edge_cert, edge_key, authority.path),
            (stranger_cert, stranger_key, authority.path),
            (edge_cert, edge_key, other.path),
        ):
            settings = Settings(worker_cert=cert, worker_key=key, worker_ca=trusted)
            found.append(await ask(port, worker_channel_credentials(settings)))
        found.append(await ask(port, trusting(authority)))
        await server.stop(0)
        return found

    lost = grpc.StatusCode.UNAVAILABLE
    assert asyncio.run(call()) == [b"answer", lost, lost, lost]


def test_a_public_worker_needs_certificates(tmp_path):
    cert, key = Authority(tmp_path).issue("worker")
    for listen in ("127.0.0.1:0", "unix:/tmp/worker.sock"):
        assert worker_credentials(listen, None, None, None) is None
    for listen, *files in (
        ("0.0.0.0:50052", None, None, None),
        ("0.0.0.0:50052", cert, key, None),
        ("127.0.0.1:0", cert, key, None),
    ):
        with pytest.raises(OptionError, match=f"a worker on {listen} needs all three"):
            worker_credentials(listen, *files)


def test_without_files_there_is_no_tls():
    assert edge_credentials(Settings()) is None
    assert worker_channel_credentials(Settings()) is None


def test_files_that_are_missing(tmp_path):
    with pytest.raises(OptionError, match=r"no\.pem' cannot be read"):
        edge_credentials(Settings(tls_cert=tmp_path / "no.pem", tls_key=tmp_path / "no.key"))
