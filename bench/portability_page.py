"""The page that `portability.py` writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

__all__ = ["Row", "write_page"]

FLOOR = 1e-4


@dataclass
class Row:
    """One artefact: the errors of PyTorch's own float32 and of each runtime, or why it failed.

    `promised` are the runtimes that have to run it; the others may fail.
    """

    label: tuple[str, str, str]
    float32: float
    promised: set[str]
    errors: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def is_within(self, runtime: str) -> bool:
        """Return whether the runtime ran the artefact with an error within the bound."""
        return self.errors.get(runtime, inf) <= max(FLOOR, 3 * self.float32)

    @property
    def keeps_promise(self) -> bool:
        """Return whether all promised runtimes, and onnx's if it ran, are within the bound."""
        return all(map(self.is_within, self.promised | ({"onnx reference"} & self.errors.keys())))


def write_page(
    path: Path, versions: dict[str, str], forms: list[Row], ways: list[Row], targets: list[Row]
) -> None:
    """Write the tables, and each runtime's message where it did not run an artefact."""
    runtimes = list(versions)
    named = [name for name in runtimes if name != "onnx reference"]
    notes: dict[str, int] = {}
    lines = [INTRODUCTION, *(f"- {name} {version}" for name, version in versions.items()), "", TEXT]
    lines += [FORMS, *_table(("network", "unpool", "method"), forms, runtimes, notes), ""]
    lines += [WAYS, *_table(("select", "position", "method"), ways, runtimes, notes), ""]
    lines += [TARGETS, *_table(("network", "target", "method"), targets, named, notes), ""]
    lines += [REASONS, *(f"{number}. {reason}" for reason, number in notes.items()), "", FAULTS]
    path.write_text("\n".join(lines))


def _table(
    header: tuple[str, ...], rows: list[Row], runtimes: list[str], notes: dict[str, int]
) -> Iterator[str]:
    columns = [*header, "PyTorch float32", *runtimes]
    yield f"| {' | '.join(columns)} |"
    yield "|" + "---|" * len(header) + "---:|" * (len(columns) - len(header))
    for row in rows:
        cells = [*row.label, f"{row.float32:.0e}", *(_cell(row, name, notes) for name in runtimes)]
        yield f"| {' | '.join(cells)} |"


def _cell(row: Row, runtime: str, notes: dict[str, int]) -> str:
    """Return the error, bold if beyond the bound, or the number of the reason for having none."""
    if runtime in row.reasons:
        return f"no ({notes.setdefault(f'{runtime}: {row.reasons[runtime]}', len(notes) + 1)})"
    error = f"{row.errors[runtime]:.0e}"
    return error if row.is_within(runtime) else f"**{error}**"


INTRODUCTION = """# Portability

The same artefact on several runtimes. `make portability` writes this page (it needs Node.js).
Versions:
"""

TEXT = """\
An artefact consists of standard operators, so any runtime that runs the network can run it,
provided that it has the operators of the unpool form. `--target` selects a form that the runtime
has: see [the contract](contract.md#unpooling). CUDA has [its own page](gpu.md). TensorRT was not
available; the other runtimes run its artefacts here.

**OpenVINO needs `--target openvino`**, even where the form would be the same. OpenVINO packs each
weight for the operator that reads it. If two operators read the same square weight in different
layouts (Conv forward and ConvTranspose backward, or MatMul from both sides), it uses one
operator's packed copy for both. The attribution is then silently wrong, while the network's own
outputs stay right. Two operators are enough to show it: if `w` is 8 × 8, `a = MatMul(x, w)` and
`b = Gemm<transB = 1>(Relu(a), w)`, the value of `b` is wrong. The target gives the backward part
a weight of its own, negated twice in the graph. OpenVINO folds this at load, and the file does
not grow.

OpenVINO runs in float32 here (`INFERENCE_PRECISION_HINT` set to `f32`); by default it uses
bfloat16 on CPUs that support it. In quantised networks, it miscomputes a `Conv` without bias if
anything other than its rectifier reads it, such as a network output or the backward part: explain
the rectifier's output instead, or set `LP_TRANSFORMS_MODE` to `NO`. This happens without any
backward part: in `QuantizeLinear`, `DequantizeLinear`, `Conv`, `Relu`, `Conv`, the last `Conv` is
wrong as soon as the first is also an output.

The numbers are relative L2 errors against PyTorch's autograd in float64: the larger of the errors
of `attribution` and `score`, and the median over five random inputs of two images. `position` has
to be equal. The bound is 1e-4, or three times the error of PyTorch's own float32 if that is more;
an error beyond it is **bold**. "no" means that the runtime does not run the artefact, and its
number refers to [the reason](#why-not).
"""

FORMS = """## Forms of unpooling

All runtimes run the same file, written with `--target openvino`. Batch, height and width are
dynamic except in the last network. Where windows overlap, `maxunpool` is not exact and is left
out.
"""

WAYS = """## Selects and positions

Every `select` and `position`, on the network with branches, with unpool form `scatter`.
"""

TARGETS = """## Targets

The form that each `--target` selects. OpenVINO is supported with its own target only.
"""

REASONS = """## Why not

The runtimes' messages where they do not run an artefact:
"""

FAULTS = """OpenVINO has no MaxUnpool. The reference evaluator of that version has two defects:

- its MaxUnpool interprets the indices in the size that kernel and strides imply, even if
  `output_shape` differs ([onnx#2398](https://github.com/onnx/onnx/issues/2398)), and so fails on
  sizes that the windows do not divide evenly;
- its ConvTranspose splits the weight into groups by output channels, although the weight's first
  axis is the input channels, and keeps one channel per group: of grouped convolutions, only
  depthwise ones work.
"""
