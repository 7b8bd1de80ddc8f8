"""What stands before the calls: connections, their limits, several addresses, and the pages."""

import asyncio
import urllib.error
import urllib.request
from types import SimpleNamespace

import grpc
import pytest
from server.certificates import Authority

from onnxplain.server.caller import CALLER
from onnxplain.server.edge.front import Front
from onnxplain.server.settings import Settings

SERVICE = "onnxplain.v1.ExplainService"
LOCAL = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


async def explain(request, context):
    """Answer with the peer, after the time that the request has."""
    assert CALLER.get().request_id
    await asyncio.sleep(float(request or b"0"))
    return context.peer().encode()


HANDLERS = {"Explain": grpc.unary_unary_rpc_method_handler(explain)}


def behind_a_front(play, credentials=None, up=1, **settings):
    """Run `play` with the front, the addresses and a channel to the last of them."""

    async def run():
        front = Front(
            Settings(**{"listen": ("127.0.0.1:0",), **settings}),
            SimpleNamespace(admitted={}, restarts=0, up=up),
        )
        server = front.server()
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, HANDLERS),))
        addresses = front.bind(server)
        await front.start()
        await server.start()
        address = addresses[-1].replace("127.0.0.1", "localhost")
        if credentials is None:
            channel = grpc.aio.insecure_channel(address, LOCAL)
        else:
            channel = grpc.aio.secure_channel(address, credentials, LOCAL)
        try:
            async with channel:
                return await play(front, addresses, channel.unary_unary(f"/{SERVICE}/Explain"))
        finally:
            await server.stop(0)
            await front.stop()

    return asyncio.run(run())


def test_large_metadata_is_refused_and_does_no_harm():
    async def play(front, addresses, call):
        with pytest.raises(grpc.RpcError) as caught:
            await call(b"", metadata=[("x-large", "x" * 100_000)], timeout=10)
        await call(b"", timeout=10)
        return caught.value.code()

    assert behind_a_front(play) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_large_request_is_refused_and_does_no_harm():
    async def play(front, addresses, call):
        with pytest.raises(grpc.RpcError) as caught:
            await call(bytes(65 * 2**20), timeout=20)
        await call(b"", timeout=10)
        return caught.value.code()

    assert behind_a_front(play) is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(("streams", "together"), [(1, False), (4, True)])
def test_calls_at_once_in_one_connection(streams, together):
    async def play(front, addresses, call):
        await call(b"", timeout=10)
        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.gather(*(call(b"0.3", timeout=10) for _ in range(3)))
        return loop.time() - start

    assert (behind_a_front(play, streams=streams) < 0.8) is together


def test_a_connection_ends_at_its_age_without_failing_a_call():
    async def play(front, addresses, call):
        first = await call(b"1.5", timeout=10)  # older than the age before it ends
        for _ in range(50):
            if (other := await call(b"", timeout=10)) != first:
                return other
            await asyncio.sleep(0.1)

    assert behind_a_front(play, connection_age_seconds=0.5)


def test_several_addresses_with_tls(tmp_path):
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    trusted = grpc.ssl_channel_credentials(authority.path.read_bytes())

    async def play(front, addresses, call):
        assert len(addresses) == 3
        return await call(b"", timeout=10)

    listen = ("127.0.0.1:0", f"unix:{tmp_path}/socket", "127.0.0.1:0")
    peer = behind_a_front(play, trusted, tls_cert=cert, tls_key=key, listen=listen)
    assert peer.startswith(b"ipv4:127.0.0.1:")


def fetch(address, name):
    try:
        with OPENER.open(f"http://{address}/{name}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize(("up", "status"), [(0, 503), (1, 200)])
def test_it_is_ready_while_a_worker_is_up_and_it_does_not_stop(up, status):
    async def play(front, addresses, call):
        await call(b"", timeout=10)
        before = await asyncio.to_thread(fetch, front.metrics, "readyz")
        _, metrics = await asyncio.to_thread(fetch, front.metrics, "metrics")
        assert f'method="{SERVICE}/Explain",status="OK"}} 1.0' in metrics
        front.drain()
        return before[0], (await asyncio.to_thread(fetch, front.metrics, "readyz"))[0]

    assert behind_a_front(play, up=up, metrics="127.0.0.1:0") == (status, 503)
