"""Mixed load through edge and workers, while workers are killed: is every answer right?

Usage: `python bench/soak.py --minutes 10 --page docs/reliability.md`, or `make soak`. Several
clients ask for explanations, views, evaluations, operations and rewrites by several methods of
several models; some calls have a deadline that is too short, are cancelled, are hostile or upload a
model, and a worker is killed every few seconds. It fails if an answer differs from the engine's in
this process, if a call ends otherwise than documented or not at all, if memory grows, or if a slot
stays taken.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from pathlib import Path

from soak_cases import all_cases, write_models
from soak_load import Load
from soak_page import Report, write_section
from soak_service import Killer, Memory, Service, all_free, free_port

from onnxplain.engine import Engine

WARM_SHARE = 1 / 3  # of a process's life, at its beginning, in which its memory may grow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--page", type=Path, help="the page whose section is written")
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        report = asyncio.run(soak(Path(folder), arguments))
    print(report.text())
    if arguments.page is not None:
        write_section(arguments.page, report, sys.argv[1:])
    sys.exit(1 if report.wrong else 0)


async def soak(folder: Path, arguments: argparse.Namespace) -> Report:
    """Run the service and its clients, and return what came of it."""
    models, engine = write_models(folder), Engine("cpu")
    cases = all_cases(models, engine)
    metrics = f"127.0.0.1:{free_port()}"
    flags: dict[str, object] = {"metrics": metrics, "workers": arguments.workers}
    for name in ("store", "state"):
        flags[name] = folder / name
        (folder / name).mkdir()
    service = Service(models.folder, folder, flags)
    load = Load(service.address, cases, models, engine)
    try:
        memory, killed, seconds = await under_load(service, load, arguments)
        problems = [await all_free(metrics, arguments.workers)]
        await load.last_round()
        problems.append(await all_free(metrics, arguments.workers))
    finally:
        stopped = service.stop()
    problems += [*load.wrong, stopped, *service.complaints()]
    return Report(
        seconds=seconds, clients=arguments.clients, workers=arguments.workers, load=load,
        memory=memory, killed=killed, wrong=list(filter(None, problems)), warm_share=WARM_SHARE,
    )  # fmt: skip


async def under_load(
    service: Service, load: Load, arguments: argparse.Namespace
) -> tuple[Memory, int, float]:
    """Let the clients call while workers are killed.

    Returns the memory of the processes, how many were killed, and the seconds that it took.
    """
    memory, killer = Memory(service), Killer(service, arguments.kill_every)
    watching = [asyncio.ensure_future(work) for work in (memory.watch(), killer.kill())]
    start = time.monotonic()
    end = start + 60 * arguments.minutes
    clients = [load.client(arguments.seed + n, end) for n in range(arguments.clients)]
    everyone = asyncio.gather(*clients)
    await asyncio.sleep(30 * arguments.minutes)
    killer.spare_another()
    await everyone
    seconds = time.monotonic() - start
    for task in watching:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return memory, len(killer.killed), seconds


if __name__ == "__main__":
    main()
