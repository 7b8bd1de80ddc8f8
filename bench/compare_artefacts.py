"""Compares two checkouts on the same models: artefacts byte by byte, layers by value.

    python bench/compare_artefacts.py BASE [OTHER] [--calls FOLDER]

The models are the example network, with every method and select, and every model that BASE's tests
pass to the rewriter: the tests run once, and each call is recorded with its arguments (`--calls`
keeps the recording for the next comparison). Then each checkout repeats all calls in a process of
its own. Exits with 1 if results differ; models in half precision are counted separately.

Run it with a Python that has the test dependencies, such as that of `make test`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOTS = ("proto", "graphops", "service", "clients/python")
PROCESSES = 2

# Loaded into BASE's test run as a pytest plugin.
RECORDER = """
import dataclasses, hashlib, os, pickle
from pathlib import Path
import onnx
import onnxplain.graphops as graphops

FOLDER = Path(os.environ["RECORD_TO"])

def recorded(name):
    real = getattr(graphops, name)

    def call(model, *arguments, **named):
        if isinstance(model, onnx.ModelProto):
            try:
                keep(name, model, arguments, named)
            except (TypeError, ValueError, pickle.PicklingError, AttributeError):
                pass  # a method of the test's own
        return real(model, *arguments, **named)

    setattr(graphops, name, call)

def keep(name, model, arguments, named):
    data = model.SerializeToString(deterministic=True)
    sha = hashlib.sha256(data).hexdigest()
    plain = [plainly(a) for a in arguments]
    call = pickle.dumps((name, sha, plain, {k: plainly(v) for k, v in sorted(named.items())}))
    (FOLDER / f"{sha}.onnx").write_bytes(data)
    (FOLDER / f"{hashlib.sha256(call).hexdigest()}.call").write_bytes(call)

def plainly(value):
    if type(value).__name__ == "Options":
        return {"options": {n: getattr(value, n) for n in value.changed()}}
    if type(value).__name__ == "Method":
        raise ValueError(value)
    return value

for name in ("rewrite", "forward", "layers", "convolutionalize"):
    recorded(name)
"""

# Run by each checkout: reads calls, writes a digest of each result.
REPEATER = """
import dataclasses, hashlib, json, pickle, sys
from pathlib import Path
import onnx
import onnxplain.graphops as graphops
from onnxplain.graphops import Options

folder, part, parts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])

def whole(value):
    given = isinstance(value, dict) and "options" in value
    return Options(**value["options"]) if given else value

def digest(found):
    if isinstance(found, onnx.ModelProto):
        return hashlib.sha256(found.SerializeToString()).hexdigest()
    text = json.dumps([dataclasses.asdict(layer) for layer in found])
    return hashlib.sha256(text.encode()).hexdigest()

results, names, models = {}, {}, {}
for path in sorted(folder.glob("*.call"))[part::parts]:
    name, sha, arguments, named = pickle.loads(path.read_bytes())
    names[path.stem] = [name, sha, repr(arguments), repr(named)]
    if sha not in models:
        models = {sha: onnx.load(folder / f"{sha}.onnx")}
    try:
        arguments, named = map(whole, arguments), {k: whole(v) for k, v in named.items()}
        results[path.stem] = digest(getattr(graphops, name)(models[sha], *arguments, **named))
    except Exception as e:
        results[path.stem] = f"error {type(e).__name__}"
print(json.dumps([results, names]))
"""

# Run by BASE: the calls for the example network.
EXAMPLE = """
import hashlib, pickle, sys
from pathlib import Path
import onnx
from onnxplain.graphops import METHODS

folder, example = Path(sys.argv[1]), Path(sys.argv[2])
data = onnx.load(example).SerializeToString(deterministic=True)
sha = hashlib.sha256(data).hexdigest()
(folder / f"{sha}.onnx").write_bytes(data)
selects = ("channel", "pairs", "fixed", "predicted", "seed", "whole")
for method in METHODS:
    for select in selects:
        for layer in (None, "mixed", "block2"):
            for unpool in ("auto", "portable"):
                options = {"select": select, "unpool": unpool}
                options |= {"channels": (1, 2)} if select == "fixed" else {}
                options |= {"low": (0.0,), "high": (1.0,)} if "gamma_box" in method else {}
                call = pickle.dumps(("rewrite", sha, [layer, method, {"options": options}], {}))
                (folder / f"{hashlib.sha256(call).hexdigest()}.call").write_bytes(call)
"""


def main() -> int:
    """Record, repeat in both checkouts, compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("base", type=Path, metavar="BASE", help="a checkout")
    parser.add_argument("other", type=Path, nargs="?", default=Path("."), metavar="OTHER")
    parser.add_argument("--calls", type=Path, metavar="FOLDER", help="of the recorded calls")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        calls = (arguments.calls or Path(temporary)).resolve()
        calls.mkdir(parents=True, exist_ok=True)
        if not any(calls.glob("*.call")):
            _record(arguments.base.resolve(), calls)
        results = [_repeated(path.resolve(), calls) for path in (arguments.base, arguments.other)]
        return _compare(*results, calls)


def _record(checkout: Path, calls: Path) -> None:
    """Run the checkout's tests with the recorder, then add the example network's calls."""
    with tempfile.TemporaryDirectory() as plugins:
        Path(plugins, "recorder.py").write_text(RECORDER)
        environment = _environment(checkout, plugins) | {"RECORD_TO": str(calls)}
        command = [sys.executable, "-m", "pytest", "-p", "recorder", "-q", "-n", str(PROCESSES)]
        subprocess.run([*command, "tests"], cwd=checkout, env=environment, check=False)
    example = str(checkout / "examples" / "shapes.onnx")
    subprocess.run(
        [sys.executable, "-c", EXAMPLE, str(calls), example], env=_environment(checkout), check=True
    )


def _repeated(checkout: Path, calls: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the digest of each call's result, and what was called."""
    commands = [
        [sys.executable, "-c", REPEATER, str(calls), str(part), str(PROCESSES)]
        for part in range(PROCESSES)
    ]
    running = [
        subprocess.Popen(c, env=_environment(checkout), stdout=subprocess.PIPE) for c in commands
    ]
    results: dict[str, str] = {}
    names: dict[str, list[str]] = {}
    for process in running:
        output, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"repeating the calls in {checkout} failed")
        found, called = json.loads(output.splitlines()[-1])
        results |= found
        names |= called
    return results, names


def _environment(checkout: Path, *before: str) -> dict[str, str]:
    roots = [*before, *(str(checkout / root) for root in ROOTS)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(roots), "PYTHONHASHSEED": "0"}


def _compare(
    base: tuple[dict[str, str], dict[str, list[str]]],
    other: tuple[dict[str, str], dict[str, list[str]]],
    calls: Path,
) -> int:
    (before, names), (after, _) = base, other
    total = Counter(names[key][0] for key in before)
    refused = sum(digest.startswith("error") for digest in before.values())
    different = [key for key in before if before[key] != after[key]]
    half = {key for key in different if _is_half(calls / f"{names[key][1]}.onnx")}
    print(f"{len(before)} calls repeated, {refused} of them errors in BASE:", dict(total))
    print(f"{len(different)} differ, {len(half)} of these on models in half precision")
    for key in different:
        name, sha, arguments, named = names[key]
        kind = "half precision" if key in half else "DIFFERENT"
        told = [d if d.startswith("error") else d[:12] for d in (before[key], after[key])]
        print(f"  {kind}: {name} of {sha[:12]} {arguments} {named}: {told[0]} -> {told[1]}")
    return 1 if len(different) > len(half) else 0


def _is_half(path: Path) -> bool:
    import onnx

    model, types = onnx.load(path), {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
    values = [v.type.tensor_type.elem_type for v in [*model.graph.input, *model.graph.output]]
    return bool(types & {*values, *(t.data_type for t in model.graph.initializer)})


if __name__ == "__main__":
    sys.exit(main())
