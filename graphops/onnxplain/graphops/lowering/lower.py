"""The pass over the backward part that puts faster operators of the same meaning in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnxplain.graphops.ir import Emitter, Graph, Node, Tensor, infer_shapes, is_known_size
from onnxplain.graphops.lowering.flipped_convolution import transposed_convolution
from onnxplain.graphops.lowering.gate import gate
from onnxplain.graphops.lowering.one_row import OneUnit
from onnxplain.graphops.lowering.per_channel import copies, difference, product, quotient, total

__all__ = ["FASTER", "Choice", "lower"]

Form = Callable[[Emitter, Node], Tensor | None]

# For each target that was measured, the operators that have a faster form there, which returns None
# where it does not fit. docs/performance.md has the measurements.
FASTER: dict[str, dict[str, Form]] = {
    "cpu": {
        "ConvTranspose": transposed_convolution,
        "Div": quotient,
        "Expand": copies,
        "Mul": product,
        "ReduceSum": total,
        "Sub": difference,
        "Where": gate,
    },
}


@dataclass(frozen=True)
class Choice:
    """A node of the plain backward part and the operator that took its place.

    scope: the node of the network that it belongs to.
    """

    scope: str
    plain: str
    fast: str


def lower(graph: Graph, op: Emitter, target: str, unit: OneUnit | None = None) -> list[Choice]:
    """Replace nodes of the backward part, in place, by what is faster on the target.

    unit: the seed, where it is that of one unit per result.
    """
    forms: dict[str, list[Form]] = {name: [form] for name, form in FASTER.get(target, {}).items()}
    if not forms:
        return []
    if unit is not None:
        for name in ("ConvTranspose", "Gemm", "MatMul"):
            forms[name] = [unit.product, *forms.get(name, [])]
    choices = []
    _complete_shapes(graph)
    nodes = list(graph.nodes)
    graph.nodes.clear()
    for node in nodes:
        own = op.is_own(node.outputs[0])
        scope = node.name.removeprefix("onnxplain/").rpartition("/")[0]
        with op.collecting() as emitted, op.scoped(scope):
            tried = (form(op, node) for form in (forms.get(node.op, []) if own else []))
            result = next((t for t in tried if t is not None), None)
        if result is None:
            graph.nodes.append(node)
            continue
        choices.append(Choice(scope, node.op, result.inputs[0].op))
        output = node.outputs[0]
        node.outputs.clear()
        node.inputs.clear()
        result.inputs[0].outputs = [output]
        graph.nodes.extend(emitted)
    return choices


def _complete_shapes(graph: Graph) -> None:
    """Infer the shapes of the backward part that are not known, without new names of sizes."""
    before = {t.name: t.shape for n in graph.nodes for t in n.outputs if t.shape is not None}
    infer_shapes(graph)
    for tensor in (t for n in graph.nodes for t in n.outputs):
        if tensor.name in before:
            tensor.shape = before[tensor.name]
        elif tensor.shape is not None:
            tensor.shape = [d if is_known_size(d) else None for d in tensor.shape]
