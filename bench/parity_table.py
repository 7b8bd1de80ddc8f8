"""The table that `parity.py` writes, and when a network counts as done or a row as stale."""

from __future__ import annotations

import hashlib
import importlib.metadata
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parity_nets import FAMILIES, Net, others

import onnxplain.graphops

__all__ = ["REWRITER", "VERSIONS", "is_current", "is_done", "key", "write_table"]

PACKAGES = ("torch", "torchvision", "onnxscript", "onnx", "onnxruntime", "onnx-graphsurgeon")
EXPORTERS = ("TorchScript", "dynamo")
METHODS = ("gradient", "deconvnet", "guided_backprop")
PLACES = ("score", "middle")
FLOOR = 1e-4


def _version(package: str) -> str:
    for name in (package, f"{package}-gpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"


VERSIONS = {package: _version(package) for package in PACKAGES}


def _rewriter() -> str:
    """Return a hash of the rewriter's source: what another one gave shows nothing of this one."""
    folder = Path(onnxplain.graphops.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


REWRITER = _rewriter()
SOURCE = f"the rewriter's source with hash {REWRITER}"


def key(net: Net) -> str:
    """Return the name that a network's row and files go by."""
    return net.label.replace(" ", "-")


def is_current(row: dict[str, Any], net: Net) -> bool:
    """Tell whether the row is of this network, environment and source of the rewriter."""
    return (row["net"], row["versions"], row["rewriter"]) == (repr(net), VERSIONS, REWRITER)


def is_done(row: dict[str, Any]) -> bool:
    """Tell whether both exporters' files have every error within the bound."""
    return all(_is_within(row, e) for e in EXPORTERS)


def write_table(path: Path, rows: dict[str, dict[str, Any]]) -> None:
    """Write the page about all networks; those without a row count as not run."""
    path.write_text("\n".join(_page(rows)) + "\n")


def _is_within(row: dict[str, Any], exporter: str) -> bool:
    found = row[exporter]
    if "failure" in found or not found["outputs_identical"]:
        return False
    return all(e <= _bound(row, cell) for cell, e in found["errors"].items())


def _bound(row: dict[str, Any], cell: str) -> float:
    return max(FLOOR, 3 * float(row["float32"][f"float32/{cell}"]))


def _page(rows: dict[str, dict[str, Any]]) -> Iterator[str]:
    nets = [(family, net) for family, sizes in FAMILIES.items() for net in sizes]
    run = [(f, n, rows[key(n)]) for f, n in nets if key(n) in rows]
    cells = [(row, exporter) for _, _, row in run for exporter in EXPORTERS]
    rewritten = sum("failure" not in row[exporter] for row, exporter in cells)
    within = sum(_is_within(row, exporter) for row, exporter in cells)
    yield INTRODUCTION.format(
        versions=_filled([*(f"{k} {v}" for k, v in VERSIONS.items()), SOURCE]),
        nets=len(run),
        files=len(cells),
        rewritten=rewritten,
        within=within,
    )
    yield "| family | network | side | middle layer | exporter | " + " | ".join(METHODS) + " | |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for family, net, row in run:
        for exporter in EXPORTERS:
            head = f"| {family} | {net.label} | {net.side} | `{net.middle}` | {exporter}"
            if "failure" in row[exporter]:
                yield f"{head} | | | | {row[exporter]['failure']} |"
                continue
            cells_of = [_cell(row, exporter, method) for method in METHODS]
            verdict = "within" if _is_within(row, exporter) else "**beyond**"
            yield f"{head} {row[exporter]['opset']} | {' | '.join(cells_of)} | {verdict} |"
    yield ""
    yield _largest(run)
    missing = [net.label for _, net in nets if key(net) not in rows]
    yield ""
    yield "Not run, only for the time that they would take:"
    yield _filled([*missing, *others()])
    yield ""
    yield NOTES


def _largest(run: list[tuple[str, Net, dict[str, Any]]]) -> str:
    made = [(net, e, row[e]) for _, net, row in run for e in EXPORTERS if "nodes" in row[e]]
    net, exporter, found = max(made, key=lambda one: one[2]["nodes"])
    return (
        f"The largest file is {net.label} by {exporter}, with {found['nodes']:,} nodes: rewriting "
        f"took {found['rewrite_seconds']:.1f} s, the median of six artefacts."
    )


def _filled(words: list[str]) -> str:
    return textwrap.fill(", ".join(words) + ".", 100, break_on_hyphens=False)


def _cell(row: dict[str, Any], exporter: str, method: str) -> str:
    """Write both places' errors; where the bound is float32's own, its error stands behind."""
    texts = []
    for cell in (f"{place}/{method}" for place in PLACES):
        text = f"{row[exporter]['errors'][cell]:.0e}"
        if _bound(row, cell) > FLOOR:
            text += f" ({float(row['float32'][f'float32/{cell}']):.0e})"
        texts.append(text)
    return ", ".join(texts)


INTRODUCTION = """# Parity with PyTorch

Artefacts of torchvision's CNNs against PyTorch's autograd in float64. `make parity` makes this page
again. A network is measured again where these change:

{versions}

{nets} networks, each written by two exporters: of {files} files {rewritten} are rewritten, and
{within} are within the bound for all methods and layers, with the network's own outputs the same to
the bit (graph optimisation off).

A cell has the relative L2 error, the median over five random inputs, first of the class score, then
of the middle layer; the signal starts from a random cotangent of both signs. The bound is 1e-4, or
three times the error of PyTorch's own float32 where that is more: it then stands in brackets.
Images are 64 pixels wide, Inception's 96, as it takes no less than 75. Weights are random, and set
as after training: BatchNorm statistics are those of data, residual branches are weak. No rectifier
is at its kink (see the notes).
"""

NOTES = """## Notes

- PyTorch's autograd has no deconvnet and no guided backpropagation: the oracle's ReLU and ReLU6, as
  modules and as functions, go back as the method says.
- A unit within a rounding of zero may flip in float32, in PyTorch's too, and that alone moves a
  gradient by 1e-3. In networks of millions of units it befalls about every other image. So biases
  are nudged, by a few 1e-5 standard deviations of a rectifier's input, until at these images, in
  float64, none is within 2e-5 of its kink. Ties of max-pools are left to chance.
- Both exporters write Hardswish and Hardsigmoid as operators, so they keep their gradient under all
  methods. Where a file spells them with a Clip from 0 to 6, that Clip is a rectifier.
- AlexNet and VGG average their last map over 6x6 and 7x7 windows, which the TorchScript exporter
  writes only from about 224 pixels on. They have the same averages as matrix products here.
- ViT, Swin and ConvNeXt have no rectifier: all three methods are the gradient there.
- A middle layer is named by its module, in the files of both exporters, and its values are compared
  with PyTorch's first."""
