"""A worker whose `Check` does odd things, by the name of the model; run by tests as a program."""

import _thread
import asyncio
import ctypes
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np

from onnxplain.server.worker import ExplainServicer, program
from onnxplain.server.worker.calls import call_of
from onnxplain.v1 import explain_pb2 as pb

check, view = ExplainServicer.Check, ExplainServicer.View


def starve():
    raise MemoryError


async def odd_check(self, request, context):
    match name := request.model.split("/")[1]:
        case "crash":
            os.abort()
        case "slow":
            await asyncio.sleep(1)
        case "endless":
            await asyncio.sleep(600)
        case "stuck":  # on a thread, where it does not look whether it should stop
            await self._scheduler.run(call_of(context), stick, name)
        case "hold":  # Python's lock, in native code, which no cancellation reaches
            mark(name)
            ctypes.PyDLL(None).sleep(600)
        case "greedy":  # a worker on CUDA, whose memory the edge watches
            kept = np.ones(2**27)  # 1 GiB
            await asyncio.sleep(60)
            del kept
        case "starved":  # Python's part of a new thread finds no memory
            _thread.start_new_thread(starve, ())
            await asyncio.sleep(60)
        case "starving":
            threading.Thread(target=starve).start()
            await asyncio.sleep(60)
        case "lost":  # an event of gRPC, or another callback of the loop
            asyncio.get_running_loop().call_soon(starve)
            await asyncio.sleep(60)
        case "unloaded":  # "cannot allocate memory for thread-local data", says the loader
            ctypes.CDLL(None).quick_exit(127)
        case "threadless":
            raise RuntimeError("can't start new thread")
        case "hungry":
            np.ones(2**40)
        case "told":
            await context.send_initial_metadata((("early", "1"),))
            context.set_trailing_metadata((("late", "2"), ("late-bin", b"\0\1")))
            metadata = dict(context.invocation_metadata())
            told = [
                request.model,
                metadata["onnxplain-caller"],
                bool(metadata["onnxplain-request-id"]),
            ]
            left = context.time_remaining()
            return pb.CheckResponse(warnings=map(str, [*told, left and left > 5]))
    return await check(self, request, context)


async def odd_view(self, request, context):
    if any("crash" in name for name in request.training.earlier):
        os.abort()
    async for part in view(self, request, context):
        yield part


def stick(name):
    mark(name)
    time.sleep(600)


def mark(name):
    """Leave a sign that a call has begun, where a flag names a folder for it."""
    for folder in map(Path, sys.argv[1:]):
        if folder.is_dir():
            (folder / name).touch()


if __name__ == "__main__":
    ExplainServicer.Check, ExplainServicer.View = odd_check, odd_view
    if "unlimited" in sys.argv:
        program.limit_worker = lambda *_: False
    program.main()
