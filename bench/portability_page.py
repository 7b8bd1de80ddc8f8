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
    """One artefact: what PyTorch's own float32 errs, and each runtime, or why it has no answer.

    `promised` are the runtimes that have to answer; the others may refuse.
    """

    label: tuple[str, str, str]
    float32: float
    promised: set[str]
    errors: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def is_within(self, runtime: str) -> bool:
        """Tell whether the runtime answers, and within the bound."""
        return self.errors.get(runtime, inf) <= max(FLOOR, 3 * self.float32)

    @property
    def keeps_promise(self) -> bool:
        """Tell whether all answer that have to, and what onnx itself answers is right too."""
        return all(map(self.is_within, self.promised | ({"onnx reference"} & self.errors.keys())))


def write_page(
    path: Path, versions: dict[str, str], forms: list[Row], ways: list[Row], targets: list[Row]
) -> None:
    """Write the tables, with what each runtime says where it does not run an artefact."""
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
    """Return the error, bold beyond the bound, or the number of the reason why there is none."""
    if runtime in row.reasons:
        return f"no ({notes.setdefault(f'{runtime}: {row.reasons[runtime]}', len(notes) + 1)})"
    error = f"{row.errors[runtime]:.0e}"
    return error if row.is_within(runtime) else f"**{error}**"


INTRODUCTION = """# Portability

The same artefact on several runtimes. `make portability` makes this page again (it needs node); it
was made with:
"""

TEXT = """An artefact holds standard operators only, so any runtime that runs the network can run
it if it has the operators of its unpool form. `--target` picks a form that the runtime has: see
[the contract](contract.md#unpooling). CUDA has [a page of its own](gpu.md); no TensorRT was at
hand, its artefacts are run here by the others.

**OpenVINO needs `--target openvino`**, also where the form would be the same. It packs each weight
for the operator that reads it, and takes the packed copy of one operator for another's where a
square weight is read in two ways: forward by Conv and backward by ConvTranspose, or by MatMul from
both sides. The attribution is then wrong without a word, while the network's own outputs stay
right. Two operators show it: of `a = MatMul(x, w)` and `b = Gemm<transB = 1>(Relu(a), w)`, with a
`w` of 8 × 8, `b` is wrong. The target gives the backward part a weight of its own, negated twice in
the graph, which OpenVINO folds at load; the file does not grow.

OpenVINO runs at float32 here (`INFERENCE_PRECISION_HINT` at `f32`): left to itself it takes
bfloat16 on CPUs that have it. Of quantised networks it gets a `Conv` without bias wrong that
something else than its rectifier reads, as an output or to explain it: explain the rectifier's
output instead, or set `LP_TRANSFORMS_MODE` to `NO`. The fault needs no backward part: of
`QuantizeLinear`, `DequantizeLinear`, `Conv`, `Relu`, `Conv` the last comes out wrong as soon as the
first `Conv` is an output too.

Numbers are relative L2 errors against PyTorch's autograd in float64, the median over five random
inputs of two images. The larger error of `attribution` and `score` counts; `position` has to be
equal. The bound is 1e-4, or three times the error of PyTorch's own float32 where that is more:
**bold** is beyond it, all else is within. "no" with a number stands for the reason,
[at the end](#why-not).
"""

FORMS = """## Forms of unpooling

One file for all columns, made with `--target openvino`; batch, height and width are dynamic except
in the last network. Where windows overlap, `maxunpool` is not exact, and not in the table.
"""

WAYS = """## Ways to ask

Every `select` and `position` on the network with branches, unpooled by `scatter`.
"""

TARGETS = """## Targets

The form that each `--target` picks by itself. OpenVINO is promised only for its own target.
"""

REASONS = """## Why not

What the runtimes say where they do not run an artefact:
"""

FAULTS = """OpenVINO has no MaxUnpool. The reference evaluator has two faults, in the version above:

- its MaxUnpool looks the indices up in the size that kernel and strides imply, also where
  `output_shape` says another ([onnx#2398](https://github.com/onnx/onnx/issues/2398)), so sizes that
  the windows do not divide fail;
- its ConvTranspose cuts the weight into groups by output channels, though the weight's first axis
  is of input channels, and keeps one channel of each group: only depthwise convolutions go back.
"""
