"""A worker whose `Check` does odd things, by the name of the model; run by tests as a program."""

import asyncio
import ctypes
import os

import numpy as np

from onnxplain.server.worker import ExplainServicer
from onnxplain.server.worker.program import main
from onnxplain.v1 import explain_pb2 as pb

check = ExplainServicer.Check


async def odd_check(self, request, context):
    match request.model.split("/")[1]:
        case "crash":
            os.abort()
        case "slow":
            await asyncio.sleep(1)
        case "hold":  # Python's lock, in native code, which no cancellation reaches
            ctypes.PyDLL(None).sleep(600)
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


if __name__ == "__main__":
    ExplainServicer.Check = odd_check
    main()
