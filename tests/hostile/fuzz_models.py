"""Mutated models, read, checked, rewritten and run as a worker does it.

`python tests/hostile/fuzz_models.py [COUNT [FIRST]]` runs COUNT cases and prints how they ended.
A case follows from its number: a first number reruns the one that a report names.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import time
import traceback
import warnings
from pathlib import Path

__all__ = ["COMMAND", "SEED", "case"]

SEED = 20261128
COMMAND = (sys.executable, __file__, "--answer")
RUN_SHARE = 0.15  # of the models that can be read
METHODS = ("gradient", "deconvnet", "lrp_epsilon_plus", "grad_cam", "input_x_gradient")
SECONDS = 3.0  # for a run of a model


def case(number: int) -> str:
    """Run one case, and return how it ended: "!" and the place for an exception of another kind."""
    import numpy as np

    from onnxplain.graphops.errors import OnnxplainError

    random = np.random.default_rng([SEED, number])
    stage = ["load"]
    try:
        _explain(_mutated(random), random, stage)
    except OnnxplainError as e:
        return f"{stage[0]} {type(e).__name__}"
    except Exception as e:
        frames = traceback.extract_tb(e.__traceback__)
        ours = [f for f in frames if "/onnxplain/" in f.filename] or frames
        place = f"{Path(ours[-1].filename).name}:{ours[-1].name}"
        return f"!{type(e).__name__}: {place} {stage[0]} ({str(e)[:120]!r})".replace("\n", " ")
    return f"{stage[0]} done"


def _mutated(random) -> bytes:
    import onnx
    from hostile.mutating import damaged, mutate
    from hostile.seed_models import SEEDS

    seed = SEEDS[random.integers(len(SEEDS))]
    if random.random() < 0.15:
        return damaged(seed.SerializeToString(), random)
    model = onnx.ModelProto()
    model.CopyFrom(seed)
    mutate(model, random, SEEDS)
    return model.SerializeToString()


def _explain(data: bytes, random, stage: list[str]) -> None:
    from onnxplain.graphops import Network, check, layers, rewrite

    network = Network(data)
    stage[0] = "check"
    method = METHODS[random.integers(len(METHODS))]
    layers(network)
    report = check(network, None, method)
    if not report.ok:
        return
    stage[0] = "rewrite"
    rewrite(network, None, method)
    if random.random() < RUN_SHARE:
        stage[0] = "run"
        _run(network, method)


def _run(network, method: str) -> None:
    import numpy as np

    from onnxplain.engine import Engine

    sizes = next(v.type.tensor_type.shape.dim for v in network.model.graph.input)
    free = (1, 3, 8, 8, *[1] * len(sizes))
    shape = [d.dim_value or size for d, size in zip(sizes, free, strict=False)]
    if np.prod(shape, dtype=float) > 2**20:
        return
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    Engine("cpu", threads=1).limited(SECONDS, None).explain(network.model, image, None, method)


def _answer(first: int, count: int) -> None:
    from hostile.trials import answer_cases

    warnings.simplefilter("ignore")
    faulthandler.enable()
    quiet = os.open(os.devnull, os.O_WRONLY)
    answer = os.dup(1)
    os.dup2(quiet, 1)  # ONNX Runtime prints there at times
    sys.stdout = os.fdopen(answer, "w")
    answer_cases(case, first, count)


def _report(count: int = 1000, first: int = 0) -> int:
    from hostile.trials import run_cases

    began = time.monotonic()
    tally = run_cases(COMMAND, first, count)
    print(f"{count} models in {time.monotonic() - began:.0f} s, seed {SEED}")
    for word, number in tally.ends.most_common():
        print(f"{number:8} {word}")
    for title in ("deaths", "hangs", "defects"):
        found = getattr(tally, title)
        print(f"{title}: {sum(map(len, found.values()))}")
        for cause, numbers in found.items():
            print(f"  {len(numbers)} x {cause}: cases {numbers[:5]}")
    return 0 if tally.clean else 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    arguments = sys.argv[1:]
    if arguments[:1] == ["--answer"]:
        with contextlib.suppress(BrokenPipeError):
            _answer(int(arguments[1]), int(arguments[2]))
    else:
        sys.exit(_report(*map(int, arguments)))
