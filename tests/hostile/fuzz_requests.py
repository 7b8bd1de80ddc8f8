"""Mutated requests of every call, sent to a whole service with a worker of its own.

`python tests/hostile/fuzz_requests.py [COUNT [FIRST]]` sends COUNT cases and prints how they ended.
A case follows from its number, apart from what others that run at once do to the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

__all__ = ["SEED", "Outcome", "run_cases", "send_cases"]

SEED = 20261128
AT_ONCE = 8
SECONDS = 1.0  # the deadline of a call
HANG_SECONDS = 30.0
MESSAGES = 200  # read of a stream, then it is cancelled
DEFECTS = ("INTERNAL", "UNKNOWN", "DATA_LOSS")


class Outcome:
    """How cases ended.

    ends: their number by the call's status and kind of error. defects: by text, the numbers of the
    cases. deaths: of workers, by what the service said of them. leaks: texts with a path.
    left: the files in the folder of models afterwards. answers: whether the service still does.
    """

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self.defects: dict[str, list[int]] = {}
        self.leaks: dict[str, list[int]] = {}
        self.hangs: list[int] = []
        self.deaths: Counter[str] = Counter()
        self.killing: dict[str, list[int]] = {}
        self.left: list[str] = []
        self.answers = True

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return self.answers and not (self.defects or self.leaks or self.hangs or self.deaths)


async def send_cases(address: str, first: int, count: int, folder: str = "") -> Outcome:
    """Send cases to a running service.

    Args:
        address: of the service.
        first: the number of the first case.
        count: the number of cases.
        folder: a path that no text may contain.

    Returns:
        How they ended.
    """
    import grpc

    outcome, numbers = Outcome(), iter(range(first, first + count))
    options = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(address, options) as channel:

        async def sender() -> None:
            for number in numbers:
                await _send(channel, number, outcome, folder)

        await asyncio.gather(*(sender() for _ in range(AT_ONCE)))
    return outcome


async def _send(channel, number: int, outcome: Outcome, folder: str) -> None:
    import grpc

    method, messages = _case(number)
    try:
        async with asyncio.timeout(HANG_SECONDS):
            await _call(channel, method, messages)
        end, text = "OK", ""
    except grpc.aio.AioRpcError as e:
        kind = dict(e.trailing_metadata() or ()).get("onnxplain-error", "-")
        end, text = f"{e.code().name} {kind}", e.details() or ""
        if e.code().name in DEFECTS:
            outcome.defects.setdefault(f"{method.name}: {end}: {text[:200]}", []).append(number)
    except TimeoutError:
        end, text = "hang", ""
        outcome.hangs.append(number)
    outcome.ends[end] += 1
    if end.endswith("WorkerDied"):
        outcome.killing.setdefault(method.name, []).append(number)
    if "Traceback" in text or "/tmp/" in text or (folder and folder in text):
        outcome.leaks.setdefault(f"{method.name}: {text[:200]}", []).append(number)


async def _call(channel, method, messages: list[bytes]) -> None:
    path = f"/{method.containing_service.full_name}/{method.name}"
    if method.client_streaming:
        await channel.stream_unary(path)(iter(messages), timeout=SECONDS)
    elif method.server_streaming:
        call = channel.unary_stream(path)(messages[0], timeout=SECONDS)
        read = 0
        async for _ in call:
            read += 1
            if read == MESSAGES:
                call.cancel()
                return
    else:
        await channel.unary_unary(path)(messages[0], timeout=SECONDS)


def _case(number: int):
    """Return the call of a case, and the bytes of its messages."""
    import numpy as np
    from hostile.mutating import damaged, mutate
    from hostile.seed_requests import METHODS, SEEDS, request_class

    random = np.random.default_rng([SEED, number])
    method = METHODS[random.integers(len(METHODS))]
    kind = request_class(method)
    seeds = [seed for seed in SEEDS if seed.DESCRIPTOR is method.input_type] or [kind()]
    messages = []
    for i in range(int(random.integers(1, 5)) if method.client_streaming else 1):
        message = kind()
        if random.random() < 0.9:
            at = min(i, 1) if method.client_streaming else random.integers(len(seeds))
            message.CopyFrom(seeds[at])
        if random.random() < 0.9:
            mutate(message, random, SEEDS)
        data = message.SerializeToString()
        messages.append(damaged(data, random) if random.random() < 0.1 else data)
    return method, messages


class _Deaths(logging.Handler):
    """Counts what the edge logs of workers that die."""

    def __init__(self, outcome: Counter[str]) -> None:
        super().__init__()
        self._outcome = outcome

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "died" in text or "killed" in text:
            self._outcome[text.partition(":")[2].strip()[:300]] += 1


async def run_cases(first: int, count: int) -> Outcome:
    """Send cases to a service of its own, and return how they ended."""
    from hostile.seed_requests import write_models

    from onnxplain.server.serving import start_settings
    from onnxplain.server.settings import Settings

    deaths: Counter[str] = Counter()
    handler = _Deaths(deaths)
    logging.getLogger("onnxplain").addHandler(handler)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        models, store = Path(folder) / "models", Path(folder) / "store"
        models.mkdir()
        store.mkdir()
        write_models(models)
        settings = Settings(
            models=(models,), store=store, listen=("127.0.0.1:0",), device=("cpu",), workers=1
        )
        service = await start_settings(settings)
        try:
            outcome = await send_cases(service.address, first, count, folder)
            outcome.left = sorted(str(p.relative_to(folder)) for p in models.rglob("*"))
            outcome.answers = await _answers(service.address)
        finally:
            await service.stop(0)
            logging.getLogger("onnxplain").removeHandler(handler)
    outcome.deaths = deaths
    return outcome


async def _answers(address: str) -> bool:
    """Tell whether the service still answers, and its worker opens a model."""
    import grpc

    from onnxplain.v1 import explain_pb2 as pb
    from onnxplain.v1 import explain_pb2_grpc

    request = pb.ListLayersRequest(model="models/classifier")
    async with grpc.aio.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            await explain_pb2_grpc.ExplainServiceStub(channel).ListLayers(request, timeout=30)
        except grpc.aio.AioRpcError as e:
            print(f"no answer afterwards: {e.code()} {e.details()}")
            return False
    return True


def _report(count: int = 1000, first: int = 0) -> int:
    began = time.monotonic()
    outcome = asyncio.run(run_cases(first, count))
    print(f"{count} requests in {time.monotonic() - began:.0f} s, seed {SEED}")
    for end, number in outcome.ends.most_common():
        print(f"{number:8} {end}")
    for title in ("defects", "leaks", "deaths", "killing"):
        found = getattr(outcome, title)
        print(f"{title}: {len(found)}")
        for text, numbers in found.items():
            print(f"  {text}: {numbers if isinstance(numbers, int) else numbers[:5]}")
    print(f"hangs: {outcome.hangs}, models: {outcome.left}")
    return 0 if outcome.clean else 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(_report(*map(int, sys.argv[1:])))
