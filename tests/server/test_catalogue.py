"""The edge's catalogue: which version a name means while new ones appear, open, fail and go."""

import asyncio
import logging
from contextlib import asynccontextmanager

import grpc
import pytest

from onnxplain.graphops.errors import (
    InputError,
    MissingModel,
    NoWorker,
    QuarantinedModel,
    UnsupportedModel,
    WorkerDied,
)
from onnxplain.registry import FolderSource
from onnxplain.server.edge.catalogue import Catalogue
from onnxplain.v1.worker_pb2 import WarmRequest


class Workers:
    """Open models, or fail to as told; what is held back waits."""

    def __init__(self):
        self.opened = []
        self.failures = {}  # by name: errors, the last of which stays
        self.held = {}  # by name: the event that lets it go

    async def unary(self, method, request, model, *, timeout=None):
        assert method == "/onnxplain.v1.WorkerService/Warm"
        assert WarmRequest.FromString(request).model == model
        self.opened.append(model)
        if model in self.held:
            await self.held[model].wait()
        if errors := self.failures.get(model):
            raise errors.pop(0) if len(errors) > 1 else errors[0]
        return b""


def put(folder, *names, content=b"a model"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def version(number):
    return f"models/a/versions/{number}"


@asynccontextmanager
async def catalogue(folder, workers, **options):
    found = Catalogue([FolderSource(folder, poll_seconds=0.02)], workers, **options)
    await found.start()
    try:
        yield found
    finally:
        await found.stop()


async def until(condition):
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.01)


def test_a_name_means_the_newest_version_before_any_is_ready(tmp_path):
    put(tmp_path, "a/1/model.onnx", "a/2/model.onnx", "b.onnx")

    async def main():
        workers = Workers()
        workers.held[version(2)] = asyncio.Event()
        async with catalogue(tmp_path, workers) as models:
            assert await models.resolve("models/a") == version(2)
            assert await models.resolve(version(1)) == version(1)
            assert await models.resolve("models/b") == "models/b/versions/1"

    asyncio.run(main())


def test_a_new_version_serves_once_it_is_open(tmp_path):
    put(tmp_path, "a/1/model.onnx")

    async def main():
        workers = Workers()
        workers.held[version(2)] = asyncio.Event()
        async with catalogue(tmp_path, workers) as models:
            await until(lambda: means(models, "models/a", version(1)))
            put(tmp_path, "a/2/model.onnx")
            await until(lambda: asked(workers, version(2)))
            assert await models.resolve("models/a") == version(1)
            assert await models.resolve(version(2)) == version(2)
            workers.held[version(2)].set()
            await until(lambda: means(models, "models/a", version(2)))
            assert workers.opened == [version(1), version(2)]

    asyncio.run(main())


def test_a_bad_version_keeps_the_old_one_and_says_so(tmp_path, caplog):
    put(tmp_path, "a/1/model.onnx")

    async def main():
        workers = Workers()
        workers.failures[version(2)] = [UnsupportedModel("it has no rule")]
        async with catalogue(tmp_path, workers) as models:
            await until(lambda: asked(workers, version(1)))
            put(tmp_path, "a/2/model.onnx")
            await until(lambda: bad(models, version(2)))
            assert await models.resolve("models/a") == version(1)
            assert models.problem(version(2)) == "it has no rule"
            assert models.problem(version(1)) == ""
            workers.failures.clear()
            put(tmp_path, "a/2/model.onnx", content=b"a better model")
            await until(lambda: means(models, "models/a", version(2)))
            assert models.problem(version(2)) == ""

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    assert f"{version(2)} cannot be served: it has no rule" in caplog.text
    assert caplog.text.count(f"models/a is now {version(1)}") == 2


def test_a_model_that_cannot_be_opened_is_not_said_to_serve(tmp_path, caplog):
    put(tmp_path, "a.onnx")

    async def main():
        workers = Workers()
        workers.failures[version(1)] = [UnsupportedModel("it has no rule")]
        async with catalogue(tmp_path, workers) as models:
            await until(lambda: bad(models, version(1)))

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    assert f"{version(1)} cannot be served: it has no rule" in caplog.text
    assert "is now" not in caplog.text


def test_an_older_version_is_opened_where_the_newest_is_bad(tmp_path):
    put(tmp_path, "a/1/model.onnx", "a/2/model.onnx")

    async def main():
        workers = Workers()
        workers.failures[version(2)] = [QuarantinedModel("it kills workers")]
        async with catalogue(tmp_path, workers) as models:
            await until(lambda: asked(workers, version(1)))
            await until(lambda: means(models, "models/a", version(1)))

    asyncio.run(main())


def test_a_model_without_a_good_version_is_still_forwarded(tmp_path):
    put(tmp_path, "a/1/model.onnx")

    async def main():
        workers = Workers()
        workers.failures[version(1)] = [UnsupportedModel("bad")]
        async with catalogue(tmp_path, workers) as models:
            await until(lambda: bad(models, version(1)))
            assert await models.resolve("models/a") == version(1)

    asyncio.run(main())


@pytest.mark.parametrize("passing", [NoWorker("none is up"), WorkerDied("another killed it")])
def test_a_failure_that_says_nothing_of_the_model_is_tried_again(tmp_path, passing):
    put(tmp_path, "a/1/model.onnx")

    async def main():
        workers = Workers()
        workers.failures[version(1)] = [passing, UnsupportedModel("bad")]
        async with catalogue(tmp_path, workers) as models:
            await until(lambda: bad(models, version(1)))
            assert workers.opened == [version(1)] * 2

    asyncio.run(main())


def test_a_workers_own_failure_is_told(tmp_path):
    put(tmp_path, "a/1/model.onnx")
    refused = grpc.aio.AioRpcError(
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(("onnxplain-error", "CorruptModel")),
        "it is not valid ONNX",
    )

    async def main():
        workers = Workers()
        workers.failures[version(1)] = [refused]
        async with catalogue(tmp_path, workers) as models:
            await until(lambda: bad(models, version(1)))
            assert models.problem(version(1)) == "it is not valid ONNX"

    asyncio.run(main())


def test_a_version_that_goes_while_it_is_opened_is_no_bad_one(tmp_path, caplog):
    put(tmp_path, "a/1/model.onnx", "a/2/model.onnx")

    async def main():
        workers = Workers()
        workers.held[version(2)] = asyncio.Event()
        workers.failures[version(2)] = [MissingModel("no version '2'")]
        models = Catalogue([FolderSource(tmp_path, poll_seconds=3600)], workers)
        await models.start()
        await until(lambda: asked(workers, version(2)))
        (tmp_path / "a/2/model.onnx").unlink()
        workers.held[version(2)].set()
        await until(lambda: asked(workers, version(1)))
        assert await models.resolve("models/a") == version(1)
        await models.stop()

    asyncio.run(main())
    assert "cannot be served" not in caplog.text


def test_without_opening_everything_listed_serves(tmp_path):
    put(tmp_path, "a/1/model.onnx")

    async def main():
        workers = Workers()
        async with catalogue(tmp_path, workers, warm=False) as models:
            put(tmp_path, "a/2/model.onnx")
            await until(lambda: means(models, "models/a", version(2)))
            assert workers.opened == []

    asyncio.run(main())


def test_what_has_just_been_added_is_found_by_its_full_name(tmp_path):
    async def main():
        slow = FolderSource(tmp_path, poll_seconds=3600)
        models = Catalogue([slow], Workers())
        await models.start()
        put(tmp_path, "a/7/model.onnx")
        assert await models.resolve(version(7)) == version(7)
        assert models.stamp(version(7)) != models.stamp(version(8)) == ""
        (tmp_path / "a/7/model.onnx").unlink()
        await models.refresh()
        with pytest.raises(MissingModel, match="no model 'a'"):
            await models.resolve(version(7))
        with pytest.raises(InputError, match="write models/NAME"):
            await models.resolve("../a")
        await models.stop()

    asyncio.run(main())


def test_many_calls_for_what_is_missing_share_a_look_at_the_sources(tmp_path):
    looks = []

    class Counted(FolderSource):
        def list(self):
            looks.append(1)
            return super().list()

    async def main():
        models = Catalogue([Counted(tmp_path, poll_seconds=3600)], Workers())
        await models.start()
        await until(lambda: asked_twice(looks))
        before = len(looks)
        calls = [models.resolve("models/missing") for _ in range(100)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {MissingModel}
        assert len(looks) - before <= 2
        await models.stop()

    asyncio.run(main())


def test_a_source_that_fails_once_is_watched_on(tmp_path):
    class Failing(FolderSource):
        failed = False

        async def watch(self):
            if not self.failed:
                self.failed = True
                raise OSError("stale file handle")
            async for _ in super().watch():
                yield

    async def main():
        models = Catalogue([Failing(tmp_path, poll_seconds=0.02)], Workers())
        await models.start()
        put(tmp_path, "a/1/model.onnx")
        await until(lambda: listed(models))
        await models.stop()

    asyncio.run(main())


async def means(models, name, full_name):
    return await models.resolve(name) == full_name and models.problem(full_name) == ""


async def asked(workers, name):
    return name in workers.opened


async def asked_twice(looks):
    return len(looks) >= 2


async def bad(models, name):
    return models.problem(name) != ""


async def listed(models):
    return list(models.listing) != []
