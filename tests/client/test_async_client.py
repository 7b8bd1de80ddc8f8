"""The client for asyncio: the same calls as the blocking one, with many at once in one thread."""

import asyncio
import inspect
import threading

import numpy as np
import pytest
from client.scripted import Scripted, async_call, blocking_call, serving
from server.running import pixels

from onnxplain.client import AsyncClient, AsyncOperation, Client, ServedOperation, errors
from onnxplain.v1 import explain_pb2 as pb


def public(described):
    return {
        name: member
        for name, member in inspect.getmembers(described, inspect.isfunction)
        if not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("blocking", "waiting"), [(Client, AsyncClient), (ServedOperation, AsyncOperation)]
)
def test_both_have_the_same_methods(blocking, waiting):
    assert public(blocking).keys() == public(waiting).keys()
    for name, method in public(waiting).items():
        plain = public(blocking)[name]
        assert not inspect.iscoroutinefunction(plain)
        assert inspect.signature(plain).parameters == inspect.signature(method).parameters
        if inspect.iscoroutinefunction(method):
            assert inspect.getdoc(plain) == inspect.getdoc(method)


def test_both_are_made_with_the_same_arguments():
    assert inspect.signature(Client) == inspect.signature(AsyncClient)


def test_calls_give_what_the_blocking_client_gives(client, address):
    picture = pixels()
    told = []

    async def asked():
        async with AsyncClient(address, timeout=60) as waiting:
            return await asyncio.gather(
                waiting.explain("classifier", picture, "r", units="top:3"),
                waiting.view("classifier", picture, "maps", progress=lambda *s: told.append(s)),
                waiting.evaluate("classifier", picture, ["gradient"]),
                waiting.rewrite("heavy", "c"),
                waiting.list_models(),
                waiting.layers("classifier"),
                waiting.check("classifier"),
            )

    result, view, evaluations, rewritten, models, layers, report = asyncio.run(asked())
    expected = client.explain("classifier", picture, "r", units="top:3")
    np.testing.assert_array_equal(result.attribution, expected.attribution)
    assert view.drawing == client.view("classifier", picture, "maps").drawing
    assert told
    assert evaluations == client.evaluate("classifier", picture, ["gradient"])
    assert rewritten == client.rewrite("heavy", "c")
    assert models == client.list_models()
    assert layers == client.layers("classifier")
    assert report == client.check("classifier")


def test_the_blocking_client_works_where_an_event_loop_runs(address):
    """As in a notebook."""

    async def asked():
        with Client(address) as client:
            return client.explain("classifier", pixels())

    assert asyncio.run(asked()).attribution.shape == (1, 1, 3, 16, 16)


@pytest.mark.parametrize("call", [blocking_call, async_call])
def test_lists_of_several_pages(call):
    service = Scripted()
    with serving(service) as address:
        names = [model.name for model in call(address, "list_models")]
    assert names == [f"models/m{i}/versions/1" for i in range(5)]
    assert service.calls == ["ListModels"] * 3


class Slow(Scripted):
    """A service that answers nothing, and notices when its clients have gone."""

    def __init__(self):
        super().__init__()
        self.gone = threading.Event()

    def Check(self, request, context):
        context.add_callback(self.gone.set)
        self.gone.wait(20)
        return pb.CheckResponse()

    def Rewrite(self, request, context):
        context.add_callback(self.gone.set)
        yield pb.RewriteResponse(data=b"a")
        self.gone.wait(20)


@pytest.mark.parametrize("method", ["check", "rewrite"])
def test_a_task_that_is_cancelled_cancels_its_call(method):
    service = Slow()

    async def asked(address):
        async with AsyncClient(address) as client:
            task = asyncio.create_task(getattr(client, method)("net"))
            await asyncio.sleep(0.3)
            assert not service.gone.is_set()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(service.gone.wait, 10)
            assert service.gone.is_set()

    with serving(service) as address:
        asyncio.run(asked(address))


@pytest.mark.parametrize("kind", ["blocking", "waiting"])
def test_another_timeout_on_the_same_connection(kind):
    service = Slow()
    with serving(service) as address:
        if kind == "blocking":
            with Client(address) as client, pytest.raises(errors.DeadlineExceededError) as caught:
                client.with_timeout(0.2).check("net")
        else:

            async def asked():
                async with AsyncClient(address) as client:
                    await client.with_timeout(0.2).check("net")

            with pytest.raises(errors.DeadlineExceededError) as caught:
                asyncio.run(asked())
    assert "within 0.2 seconds" in str(caught.value)


def test_a_client_that_made_no_call_closes():
    async def opened():
        async with AsyncClient("127.0.0.1:1"):
            pass

    asyncio.run(opened())
