"""Where ONNX Runtime places the nodes of the artefacts: on the GPU or on the CPU.

    python bench/gpu_placement.py FOLDER [--page docs/gpu.md]

FOLDER has the models of `gpu_artefacts.py`. Nothing is run, so no GPU is needed: where CUDA's
libraries are missing, empty ones stand in for them (`gpu_stand_in.py`), with which onnxruntime-gpu
loads a model and decides as it does on a GPU. "Sizes" are the nodes that compute with the shapes of
tensors alone; a copy is a node that ONNX Runtime adds between the GPU and the CPU.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from gpu_sessions import CUDA, cuda_works, filled, open_session, ort
from gpu_stand_in import with_stand_ins

__all__ = ["Placement", "heading", "log_of", "placed", "placements", "written"]

HEADER = (
    "network",
    "method",
    "nodes on the GPU",
    "sizes on the CPU",
    "others on the CPU",
    "copies to the CPU",
    "from it",
    "fixed batch: on the CPU",
    "copies",
    "CUDA graph",
)
DTYPES = ("float32", "float16")
BEGIN, END = "<!-- placement -->", "<!-- end of placement -->"


@dataclass
class Placement:
    """The nodes by operator: on the device; on the CPU, of sizes and others; and the copies."""

    on_device: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    if why := cuda_works():
        with_stand_ins(why)  # starts this program again, once
    lines = []
    for line in itertools.chain(heading(HEADER), placements(given.folder, CUDA)):
        lines.append(line)
        print(line, flush=True)
    lines += ["", f"ONNX Runtime {ort.__version__}, CUDA {ort.cuda_version}."]
    print("\n".join(lines[-2:]))
    if given.page is not None:
        written(given.page, BEGIN, END, lines)
    return 0


def heading(columns: Sequence[str]) -> list[str]:
    """Return the first two lines of a table."""
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def placements(folder: Path, provider: str) -> Iterator[str]:
    """Yield a row for each method of each network. Two numbers are float32's and float16's."""
    for path in sorted(folder.glob(f"*-{DTYPES[0]}.onnx")):
        name, method, _ = path.stem.rsplit("-", 2)  # a network's name may have a hyphen
        both = [_cells(path.with_name(f"{name}-{method}-{t}.onnx"), provider) for t in DTYPES]
        texts = [a if a == b else f"{a} / {b}" for a, b in zip(*both, strict=True)]
        yield f"| {name} | {method} | {' | '.join(texts)} |"


@functools.lru_cache(maxsize=2)
def _network(path: Path) -> onnx.ModelProto:
    return filled(path)


def _cells(path: Path, provider: str) -> list[str]:
    name, _, dtype = path.stem.rsplit("-", 2)
    model = filled(path, _network(path.with_name(f"{name}-forward-{dtype}.onnx")))
    free = placed(log_of(model, provider), model, provider)
    fixed = placed(log_of(model, provider, batch=1), model, provider)
    try:
        open_session(model, provider, batch=1, graph=True)
        graph = "yes"
    except Exception as e:  # ONNX Runtime's exceptions share no other base
        graph = "no" if "graph capture" in str(e) else f"no: {' '.join(str(e).split())[:80]}"
    on_cpu = fixed.sizes + fixed.others
    return [
        str(free.on_device.total()),
        _told(free.sizes),
        _told(free.others),
        str(free.copies["MemcpyToHost"]),
        str(free.copies["MemcpyFromHost"]),
        str(on_cpu.total()),
        str(fixed.copies.total()),
        graph,
    ]


def placed(log: str, model: onnx.ModelProto, provider: str) -> Placement:
    """Return the placement that ONNX Runtime's log of a session tells."""
    found, on, of_sizes = Placement(), "", _of_sizes(model)
    for line in log.splitlines():
        if copy := re.search(r"Add (Memcpy(?:To|From)Host) ", line):
            found.copies[copy[1]] += 1
        elif where := re.search(r"placed on \[(\w+)\]", line):
            on = where[1]
            if every := re.search(r"All nodes placed on .*nodes: (\d+)", line):
                (found.on_device if on == provider else found.others)["nodes"] += int(every[1])
        elif node := re.search(r"IsAssignedToAnEp\]\s+(\w+) \((.*)\)", line):
            if node[1].startswith("Memcpy"):
                continue
            kind = found.sizes if node[2] in of_sizes else found.others
            (found.on_device if on == provider else kind)[node[1]] += 1
    return found


def log_of(model: onnx.ModelProto, provider: str, batch: int | None = None) -> str:
    """Open a session, and return all that ONNX Runtime logs of it."""
    with _standard_error() as log:
        open_session(model, provider, batch=batch, verbose=True)
    return log.read_text(errors="replace")


@contextlib.contextmanager
def _standard_error() -> Iterator[Path]:
    """Collect what the process, C++ included, writes to its standard error, in a file."""
    handle, name = tempfile.mkstemp()
    kept = os.dup(2)
    os.dup2(handle, 2)
    try:
        yield Path(name)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(handle)


def _of_sizes(model: onnx.ModelProto) -> set[str]:
    """Return the names of the nodes that compute with the sizes of tensors, and nothing else."""
    known, names = {tensor.name for tensor in model.graph.initializer} | {""}, set()
    for node in model.graph.node:
        if node.op_type in ("Shape", "Size") or known.issuperset(node.input):
            known.update(node.output)
            names.add(node.name)
    return names


def _told(nodes: Counter[str]) -> str:
    return ", ".join(f"{op} {n}" for op, n in sorted(nodes.items())) or "none"


def written(page: Path, begin: str, end: str, lines: list[str]) -> None:
    """Replace what stands between two marks of a page."""
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text("\n".join([f"{before}{begin}", "", *lines, "", f"{end}{after}"]))


if __name__ == "__main__":
    sys.exit(main())
