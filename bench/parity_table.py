"""The page that `parity.py` writes, and the test for whether a network's results are current."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parity_nets import FAMILIES, Net, others
from performance_machine import version

import onnxplain.graphops

__all__ = ["REWRITER", "VERSIONS", "is_current", "is_done", "key", "write_table"]

PACKAGES = ("torch", "torchvision", "onnxscript", "onnx", "onnxruntime", "onnx-graphsurgeon")
EXPORTERS = ("TorchScript", "dynamo")
METHODS = ("gradient", "deconvnet", "guided_backprop")
PLACES = ("score", "middle")
FLOOR = 1e-4
VERSIONS = {package: version(package) for package in PACKAGES}


def _rewriter() -> str:
    """Return a hash of the rewriter's source: results of another version say nothing about it."""
    folder = Path(onnxplain.graphops.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


REWRITER = _rewriter()
SOURCE = f"the rewriter's source with hash {REWRITER}"


def key(net: Net) -> str:
    """Return the name of a network's row and files."""
    return net.label.replace(" ", "-")


def is_current(row: dict[str, Any], net: Net) -> bool:
    """Return whether the row was measured with this network, environment and rewriter."""
    return (row["net"], row["versions"], row["rewriter"]) == (repr(net), VERSIONS, REWRITER)


def is_done(row: dict[str, Any]) -> bool:
    """Return whether every error is within the bound, for both exporters' files."""
    return all(_is_within(row, e) for e in EXPORTERS)


def write_table(path: Path, rows: dict[str, dict[str, Any]]) -> None:
    """Write the page; networks without a row are listed as left out."""
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
    yield "Left out only because of the time they would take:"
    yield _filled([*missing, *others()])
    yield ""
    yield NOTES


def _largest(run: list[tuple[str, Net, dict[str, Any]]]) -> str:
    made = [(net, e, row[e]) for _, net, row in run for e in EXPORTERS if "nodes" in row[e]]
    net, exporter, found = max(made, key=lambda one: one[2]["nodes"])
    return (
        f"The largest file is {net.label} by {exporter}, with {found['nodes']:,} nodes: rewriting "
        f"took {found['rewrite_seconds']:.1f} s, the median over six artefacts."
    )


def _filled(words: list[str]) -> str:
    return textwrap.fill(", ".join(words) + ".", 100, break_on_hyphens=False)


def _cell(row: dict[str, Any], exporter: str, method: str) -> str:
    """Return the errors from both layers, with float32's own in brackets if it sets the bound."""
    texts = []
    for cell in (f"{place}/{method}" for place in PLACES):
        text = f"{row[exporter]['errors'][cell]:.0e}"
        if _bound(row, cell) > FLOOR:
            text += f" ({float(row['float32'][f'float32/{cell}']):.0e})"
        texts.append(text)
    return ", ".join(texts)


INTRODUCTION = """# Parity with PyTorch

Artefacts of torchvision's CNNs against PyTorch's autograd in float64. `make parity` writes this
page, and measures a network again if any of these has changed:

{versions}

{nets} networks, each written by two exporters: of {files} files, {rewritten} are rewritten, and
{within} are within the bound for all methods and layers, with the network's own outputs
bit-identical (graph optimisation off).

A cell holds two relative L2 errors, one from the class score and one from the middle layer, each
the median over five random inputs. The signal starts from a random cotangent of both signs. The
bound is 1e-4, or three times the error of PyTorch's own float32 if that is more; that error is
then given in brackets. Images are 64 pixels wide, but 96 for Inception, which needs at least 75.
Weights are random but behave as after training: BatchNorm statistics are those of data, and
residual branches are weak. No rectifier is at its kink (see the notes).
"""

NOTES = """## Notes

- PyTorch's autograd has no deconvnet and no guided backpropagation. The oracle gives ReLU and
  ReLU6, as modules and as functions, the backward pass of the method.
- A unit whose value rounds across zero can flip in float32, in PyTorch too, and that alone
  changes a gradient by 1e-3. In networks of millions of units, this happens in about every other
  image. So biases are nudged, by a few 1e-5 standard deviations of a rectifier's input, until no
  unit is within 2e-5 of its kink on these images in float64. Ties in max-pools are left to
  chance.
- Both exporters write Hardswish and Hardsigmoid as operators, so they keep their gradient under
  all methods. If a file writes them with a Clip from 0 to 6, that Clip is a rectifier.
- AlexNet and VGG average their last map over 6x6 and 7x7 windows, which the TorchScript exporter
  writes only from about 224 pixels on. Here the same averages are matrix products.
- ViT, Swin and ConvNeXt have no rectifier: all three methods equal the gradient.
- A middle layer is named by its module path in both exporters' files, and its values are first
  compared with PyTorch's."""
