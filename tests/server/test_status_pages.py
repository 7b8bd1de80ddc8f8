"""The HTTP pages: metrics, and whether the service lives and is ready."""

import asyncio
import contextlib
import urllib.error
import urllib.request
from types import SimpleNamespace

import pytest

from onnxplain.graphops.errors import ServiceError
from onnxplain.server.edge import status_pages
from onnxplain.server.edge.metrics import Metrics
from onnxplain.server.edge.status_pages import StatusPages

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextlib.asynccontextmanager
async def pages(is_ready=True):
    """Serve the pages on a free port, and yield their address."""

    levels = SimpleNamespace(admitted={}, restarts=0, up=2)
    served = StatusPages(Metrics(levels).page, lambda: is_ready)
    address = await served.start("127.0.0.1:0")
    try:
        yield address
    finally:
        await served.stop()


def fetch(url, method="GET"):
    """Return the status, the type and the body."""
    try:
        with OPENER.open(urllib.request.Request(url, method=method), timeout=10) as response:
            return response.status, response.headers["Content-Type"], response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def fetched(path, is_ready=True, method="GET"):
    async def run():
        async with pages(is_ready) as address:
            return await asyncio.to_thread(fetch, f"http://{address}{path}", method)

    return asyncio.run(run())


PLAIN = "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("path", "is_ready", "answer"),
    [
        ("/livez", False, (200, PLAIN, "alive\n")),
        ("/readyz", True, (200, PLAIN, "ready\n")),
        ("/readyz?verbose", True, (200, PLAIN, "ready\n")),
        ("/readyz", False, (503, PLAIN, "no worker takes calls\n")),
        ("/", True, (404, PLAIN, "the pages are /metrics, /livez and /readyz\n")),
    ],
)
def test_pages(path, is_ready, answer):
    assert fetched(path, is_ready) == answer


def test_metrics_page():
    status, kind, body = fetched("/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=0.0.4")
    assert "\nonnxplain_workers 2.0\n" in body


def test_head_and_other_methods():
    assert fetched("/livez", method="HEAD") == (200, PLAIN, "")
    assert fetched("/livez", method="POST")[0] == 405


def test_what_is_no_request_does_no_harm():
    async def run():
        async with pages() as address:
            host, port = address.split(":")
            for data in (b"", b"\r\n\r\n", b"\xff\x00\r\n\r\n", b"GET", b"x" * 200_000):
                reader, writer = await asyncio.open_connection(host, int(port))
                with contextlib.suppress(ConnectionError):
                    writer.write(data)
                    writer.write_eof()
                    await asyncio.wait_for(reader.read(), 10)
                writer.close()
            return await asyncio.to_thread(fetch, f"http://{address}/livez")

    assert asyncio.run(run())[0] == 200


def test_clients_that_do_not_read_or_write_keep_no_service_from_stopping():
    """Its connections are closed; Python 3.12 and later wait for all of them."""

    async def run():
        served = StatusPages(lambda: b"x" * 2**26, bool)
        host, port = (await served.start("127.0.0.1:0")).split(":")
        clients = [await asyncio.open_connection(host, int(port), limit=1024) for _ in range(2)]
        clients[0][1].write(b"GET /metrics HTTP/1.1\r\n\r\n")
        await clients[0][0].readexactly(1)
        await asyncio.wait_for(served.stop(), 5)
        for reader, writer in clients:
            with contextlib.suppress(ConnectionError):
                assert len(await asyncio.wait_for(reader.read(), 5)) < 2**26
            writer.close()

    asyncio.run(run())


def test_a_client_that_does_not_read_is_disconnected(monkeypatch):
    monkeypatch.setattr(status_pages, "SECONDS", 0.2)

    async def run():
        served = StatusPages(lambda: b"x" * 2**26, bool)
        host, port = (await served.start("127.0.0.1:0")).split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.5)
        with contextlib.suppress(ConnectionError):
            assert len(await asyncio.wait_for(reader.read(), 5)) < 2**26
        writer.close()
        await served.stop()

    asyncio.run(run())


def test_an_address_in_use():
    async def run():
        async with pages() as address:
            await StatusPages(bytes, bool).start(address)

    with pytest.raises(ServiceError, match=r"cannot listen on 127\.0\.0\.1:\d+ for metrics: .*use"):
        asyncio.run(run())
