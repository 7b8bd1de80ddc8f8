"""What lowering `fast` chose for each node on the path, in words."""

from __future__ import annotations

from collections.abc import Iterable

from onnxplain.graphops.backward import Path
from onnxplain.graphops.fusion import Fused
from onnxplain.graphops.ir import Node, attribute
from onnxplain.graphops.lowering import FASTER, Choice, form_of
from onnxplain.graphops.operators import Table
from onnxplain.graphops.options import Options

__all__ = ["replaced", "rule_form", "unmeasured"]

BLOCKED = "which has a blocked layout"
BY_PHASES = f"a Conv for each phase of the stride, {BLOCKED}"
FAST: dict[tuple[str, str], str] = {
    ("ConvTranspose", "Conv"): f"Conv, {BLOCKED}",
    ("ConvTranspose", "Pad"): BY_PHASES,
    ("ConvTranspose", "Reshape"): BY_PHASES,
    ("ConvTranspose", "Slice"): BY_PHASES,
    ("Div", "Conv"): f"depthwise Conv, {BLOCKED}",
    ("Expand", "Resize"): f"nearest Resize, {BLOCKED}",
    ("Mul", "Conv"): f"depthwise Conv, {BLOCKED}",
    ("Mul", "Mul"): f"Mul of equal shapes, {BLOCKED}",
    ("ReduceSum", "Conv"): f"GlobalAveragePool and Conv, {BLOCKED}",
    ("Sub", "Conv"): f"depthwise Conv, {BLOCKED}",
    ("Where", "Mul"): f"Mul with a step by HardSigmoid, {BLOCKED}",
}
WITH_ZEROS = f"Conv with zeros put between its results, {BLOCKED}"
ONE_ROW = "the weight's row of the unit, since the signal is zero at all others"


def rule_form(node: Node, plain: Table, fast: Table, options: Options) -> str:
    """Return what is special about a node's rule in lowering `fast`, or "".

    plain, fast: the tables of both lowerings.
    """
    if plain.get(node.op) is fast.get(node.op) or not _is_lowered(options):
        return ""
    return form_of(node) if node.op != "MaxPool" or options.unpool == "auto" else ""


def replaced(path: Path, choices: Iterable[Choice]) -> dict[str, str]:
    """Return for nodes on the path, by name, what took the place of their backward operators."""
    owner: dict[str, Node] = {n.name: n for n in path.nodes}
    owner |= {m.name: n for n in path.nodes if isinstance(n, Fused) for m in n.members}
    found: dict[str, list[str]] = {}
    for choice in choices:
        if (node := owner.get(choice.scope)) is not None:
            found.setdefault(node.name, []).append(f"{choice.plain} as {_fast(choice, node)}")
    return {name: "; ".join(dict.fromkeys(phrases)) for name, phrases in found.items()}


def unmeasured(options: Options) -> str:
    """Return a note where lowering `fast` is `plain`, else ""."""
    if options.lowering != "fast" or _is_lowered(options):
        return ""
    return f"lowering 'fast' is 'plain' for target '{options.target}': nothing was measured there"


def _is_lowered(options: Options) -> bool:
    return options.lowering == "fast" and options.target in FASTER


def _fast(choice: Choice, node: Node) -> str:
    if choice.fast == "Mul" and choice.plain in ("ConvTranspose", "Gemm", "MatMul"):
        return WITH_ZEROS if max(attribute(node, "strides", [1])) > 1 else ONE_ROW
    return FAST.get((choice.plain, choice.fast), choice.fast)
