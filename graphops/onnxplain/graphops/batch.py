"""Which tensors hold one row for each image, and freeing a batch that an exporter fixed at 1.

A tensor is *batched* when its axis 0 runs over the images and no row depends on another image,
*shared* when no image's values reach it, and *mixed* otherwise. Only with every tensor batched or
shared do two images in one batch equal two single runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onnxplain.graphops.graph import (
    Graph,
    Node,
    Tensor,
    attribute,
    constant,
    infer_shapes,
    is_constant,
    reads,
)

__all__ = ["BATCHED", "MIXED", "SHARED", "batch_dimension", "free_batch", "track_batch"]

BATCHED, SHARED, MIXED = "batched", "shared", "mixed"

ROW_WISE = {  # one data input, axis 0 is the batch by definition
    "AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "GlobalAveragePool",
    "GlobalLpPool", "GlobalMaxPool", "GroupNormalization", "InstanceNormalization", "LRN",
    "LpPool", "MaxPool", "DepthToSpace", "SpaceToDepth",
}  # fmt: skip
AXIS = {  # operator: default of `axis`; the batch stays apart where the axis is not 0
    "Concat": None, "Softmax": -1, "LogSoftmax": -1, "Hardmax": -1, "Split": 0, "ArgMax": 0,
    "ArgMin": 0, "TopK": -1, "LpNormalization": -1, "LayerNormalization": -1,
    "RMSNormalization": -1, "Gather": 0,
}  # fmt: skip
SHAPE_ONLY = {"Shape", "Size"}


def track_batch(graph: Graph) -> dict[str, str]:
    """Return for each tensor by name whether it is batched, shared or mixed."""
    states = {t.name: SHARED for t in graph.tensors().values()}
    for tensor in graph.inputs:
        if _is_batched_input(tensor):
            states[tensor.name] = BATCHED
    for node in graph.nodes:
        state = _state_after(node, [states.get(t.name, SHARED) for t in reads(node)])
        for tensor in node.outputs:
            states[tensor.name] = state
    return states


def free_batch(graph: Graph) -> tuple[str, str]:
    """Free the batch of `graph` in place where it is fixed at 1 and nothing depends on that.

    Returns "free" (it was), "freed" or "fixed", and why where it stays fixed. Where it is free and
    a tensor mixes it with another axis, the reason names the node.
    """
    batches = [t.shape[0] for t in graph.inputs if t.shape]
    if not batches:
        return "fixed", "the network's inputs have no shape"
    for tensor in graph.inputs:
        if tensor.shape and isinstance(tensor.shape[0], int) and tensor.shape[0] != 1:
            return (
                "fixed",
                f"the input '{tensor.name}' has {tensor.shape[0]} rows, whatever is asked",
            )
    if not any(isinstance(b, int) for b in batches):
        return "free", _what_mixes(graph)
    before = [(t, t.shape) for t in graph.inputs]
    reshapes = _free_reshapes(graph)
    symbol = _unused_symbol(graph)
    for tensor in graph.inputs:
        if tensor.shape and tensor.shape[0] == 1:
            tensor.shape = [symbol, *tensor.shape[1:]]
    infer_shapes(graph, sizes_changed=True)
    note = _what_mixes(graph)
    if not note:
        return "freed", ""
    for tensor, shape in before:
        tensor.shape = shape
    for node, shape in reshapes:
        node.inputs[1] = shape
    infer_shapes(graph, sizes_changed=True)
    return "fixed", note


def _what_mixes(graph: Graph) -> str:
    """Name the first node that mixes the batch with another axis, or nothing."""
    states = track_batch(graph)
    for node in graph.nodes:
        if any(states[t.name] == MIXED for t in node.outputs):
            return f"{node.op} '{node.name}' mixes the batch with another axis"
    return ""


def _unused_symbol(graph: Graph) -> str:
    taken = {d for t in graph.tensors().values() for d in t.shape or ()}
    return next(name for name in ("N", "batch", "onnxplain_N") if name not in taken)


def batch_dimension(graph: Graph) -> int | str:
    """Return the dimension that runs over the images: its name, or its number where it is fixed."""
    sizes = [t.shape[0] for t in graph.inputs if t.shape and t.shape[0] is not None]
    return next((s for s in sizes if isinstance(s, str)), sizes[0] if sizes else "N")


def _is_batched_input(tensor: Tensor) -> bool:
    return bool(tensor.shape) and not isinstance(tensor.shape[0], int)


def _free_reshapes(graph: Graph) -> list[tuple[Node, Tensor]]:
    """Let Reshapes with a constant leading 1 keep the batch they are given: at batch 1 the same.

    Returns them with the shapes they had.
    """
    changed = []
    for node in graph.nodes:
        if node.op != "Reshape" or not is_constant(node.inputs[1]):
            continue
        data, shape = node.inputs[0], node.inputs[1]
        if is_constant(data) or attribute(node, "allowzero", 0):
            continue
        target = np.array(shape.values)
        if data.shape and data.shape[0] == 1 and target.size and target[0] == 1:
            target[0] = 0
            changed.append((node, shape))
            node.inputs[1] = constant(f"{node.name}/freed_shape", target)
    return changed


def _state_after(node: Node, inputs: list[str]) -> str:
    if node.op in SHAPE_ONLY or BATCHED not in inputs and MIXED not in inputs:
        return SHARED
    if MIXED in inputs or node.domain not in (None, "", "ai.onnx"):
        return MIXED
    check = CHECKS.get(node.op, _elementwise if node.op in ELEMENTWISE else _unknown)
    return BATCHED if check(node, inputs) else MIXED


def _unknown(node: Node, inputs: list[str]) -> bool:
    return False


def _rank(tensor: Tensor) -> int | None:
    return None if tensor.shape is None else len(tensor.shape)


def _only_first(node: Node, inputs: list[str]) -> bool:
    return inputs[0] == BATCHED and BATCHED not in inputs[1:]


def _elementwise(node: Node, inputs: list[str]) -> bool:
    """Batched inputs must have the output's rank, so that their axis 0 is its axis 0."""
    rank = max((len(t.shape) for t in node.inputs if t.shape is not None), default=0)
    for tensor, state in zip(node.inputs, inputs, strict=True):
        if state == BATCHED:
            if len(node.inputs) > 1 and _rank(tensor) != rank:
                return False
        elif tensor.shape and len(tensor.shape) == rank and tensor.shape[0] != 1:
            return False
    return True


def _axis(node: Node, inputs: list[str]) -> bool:
    axis = attribute(node, "axis", AXIS[node.op])
    rank = _rank(node.inputs[0])
    if node.op == "Concat" and inputs.count(BATCHED) != len(inputs):
        return False  # a shared part would need one row for each image
    if node.op != "Concat" and not _only_first(node, inputs):
        return False
    return bool(axis > 0 or (axis < 0 and rank is not None and axis + rank > 0))


def _axes(node: Node, inputs: list[str]) -> bool:
    """Squeeze, Unsqueeze and reductions: axis 0 must not be among the axes."""
    axes = attribute(node, "axes")
    if axes is None and len(node.inputs) > 1 and not node.inputs[1].is_empty():
        if not is_constant(node.inputs[1]):
            return False
        axes = node.inputs[1].values.tolist()
    if axes is None:
        return bool(attribute(node, "noop_with_empty_axes", 0))
    rank = _rank(node.outputs[0] if node.op == "Unsqueeze" else node.inputs[0])
    return all(a > 0 or (a < 0 and rank is not None and a + rank > 0) for a in np.ravel(axes))


def _reshape(node: Node, inputs: list[str]) -> bool:
    data, shape = node.inputs[0], node.inputs[1]
    out = node.outputs[0].shape
    if data.shape and out and isinstance(out[0], str) and out[0] == data.shape[0]:
        return True
    if not is_constant(shape) or attribute(node, "allowzero", 0):
        return False
    target = [int(v) for v in np.ravel(shape.values)]
    if not target or not data.shape:
        return bool(target) and target[0] == 0
    row = data.shape[1:]
    if target[0] == -1 and all(isinstance(d, int) for d in row):
        rest = [row[i] if v == 0 else v for i, v in enumerate(target[1:])]
        return int(np.prod(rest)) == int(np.prod(row))
    return target[0] == 0


def _transpose(node: Node, inputs: list[str]) -> bool:
    perm = attribute(node, "perm")
    return bool(perm) and perm[0] == 0


def _flatten(node: Node, inputs: list[str]) -> bool:
    axis, rank = attribute(node, "axis", 1), _rank(node.inputs[0])
    return axis == 1 or (axis < 0 and rank is not None and axis + rank == 1)


def _gemm(node: Node, inputs: list[str]) -> bool:
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    one_row = bias is None or not bias.shape or len(bias.shape) < 2 or bias.shape[0] == 1
    return _only_first(node, inputs) and not attribute(node, "transA", 0) and one_row


def _matmul(node: Node, inputs: list[str]) -> bool:
    a, b = node.inputs[0], node.inputs[1]
    rank_a, rank_b = _rank(a), _rank(b)
    if rank_a is None or rank_b is None:
        return False
    if inputs[0] == BATCHED and inputs[1] == BATCHED:
        return rank_a == rank_b >= 3
    if inputs[0] == BATCHED:
        return rank_a >= 2 and (rank_b <= 2 or rank_b < rank_a or b.shape[0] == 1)
    return rank_b >= 3 and (rank_a < rank_b or a.shape[0] == 1)


def _slice(node: Node, inputs: list[str]) -> bool:
    if not _only_first(node, inputs) or len(node.inputs) < 4 or not is_constant(node.inputs[3]):
        return False
    rank = _rank(node.inputs[0])
    axes = [int(a) for a in node.inputs[3].values]
    return all(a > 0 or (a < 0 and rank is not None and a + rank > 0) for a in axes)


def _pad(node: Node, inputs: list[str]) -> bool:
    if not _only_first(node, inputs) or not is_constant(node.inputs[1]) or len(node.inputs) > 3:
        return False
    pads = node.inputs[1].values
    return bool(pads[0] == 0 and pads[len(pads) // 2] == 0)


def _resize(node: Node, inputs: list[str]) -> bool:
    if not _only_first(node, inputs) or attribute(node, "axes") is not None:
        return False
    x, y = node.inputs[0], node.outputs[0]
    if x.shape and y.shape and x.shape[0] == y.shape[0]:
        return True
    scales = node.inputs[2] if len(node.inputs) > 2 else None
    return scales is not None and is_constant(scales) and bool(scales.values[0] == 1)


ELEMENTWISE = {
    "Abs", "Add", "And", "Cast", "Ceil", "Celu", "Clip", "Cos", "DequantizeLinear",
    "Div", "Dropout", "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu", "Greater", "GreaterOrEqual",
    "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Less", "LessOrEqual",
    "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow",
    "QuantizeLinear", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus",
    "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Where", "Xor",
}  # fmt: skip

CHECKS: dict[str, Callable[[Node, list[str]], Any]] = {
    **dict.fromkeys(ROW_WISE, _only_first),
    **dict.fromkeys(AXIS, _axis),
    **dict.fromkeys(
        ("Squeeze", "Unsqueeze", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1",
         "ReduceL2", "ReduceSumSquare", "ReduceProd", "ReduceLogSum", "ReduceLogSumExp"), _axes
    ),
    "Flatten": _flatten,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Pad": _pad,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Transpose": _transpose,
}  # fmt: skip
