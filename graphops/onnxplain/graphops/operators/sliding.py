"""How each operator slides: what it becomes when its input is a map of all windows.

A rule is `(slide, node) -> Placed`: it changes the node, or leaves it out by returning a tensor
that another one made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from onnxplain.graphops.ir import Node, attribute, constant, is_constant, known_value
from onnxplain.graphops.operators.batching import ELEMENTWISE
from onnxplain.graphops.operators.sliding_moves import joined, picked, reordered
from onnxplain.graphops.operators.window import Window
from onnxplain.graphops.operators.window_layout import (
    Placed,
    Slide,
    as_map,
    as_weight,
    constant_value,
    map_shape,
    merged,
    per_channel,
    refuse,
)

__all__ = ["SLID"]

OF_AXIS = {"DequantizeLinear", "QuantizeLinear"}  # a vector beside them is not broadcast


def _window(slide: Slide, node: Node) -> Placed:
    """A convolution or a pooling stays what it is, its padding that of one window."""
    x = slide.data(node)
    window, out = Window.of(node), node.outputs[0]
    pads, sizes = window.static_pads(), map_shape(node)
    if pads is None:
        refuse(node, "pads by sizes that are not known")
    node.inputs[0] = as_map(slide.op, node, x)
    before, after = pads
    reach = [
        (n - 1) * s + e for n, s, e in zip(sizes[1:], window.strides, window.extent, strict=True)
    ]
    whole = [w + b + a for w, b, a in zip(x.window, before, after, strict=True)]
    beyond = any(r > w for r, w in zip(reach, whole, strict=True))  # ceil_mode's last window
    if any(before) or any(after) or beyond:
        slide.padded.append(node.name)
    if attribute(node, "ceil_mode", 0) and not beyond:
        node.attrs["ceil_mode"] = 0
    node.attrs.pop("auto_pad", None)
    node.attrs["pads"] = [*before, *after]
    strides = window.strides
    if all(n == 1 for n in sizes[1:]) and window.extent == whole:
        strides = [1] * len(strides)  # one window has one position, whatever the stride
        node.attrs["strides"] = strides
    stride = tuple(a * b for a, b in zip(x.stride, strides, strict=True))
    return Placed(out, sizes[0], tuple(sizes[1:]), stride)


def _pad(slide: Slide, node: Node) -> Placed:
    x, pads = slide.data(node), known_value(node.inputs[1])
    sizes = map_shape(node)
    if pads is None or len(sizes) != 1 + len(x.window):
        refuse(node, "pads by numbers that are not known")
    node.inputs[0] = as_map(slide.op, node, x)
    if np.any(pads):
        slide.padded.append(node.name)
    return Placed(node.outputs[0], sizes[0], tuple(sizes[1:]), x.stride)


def _global(slide: Slide, node: Node) -> Placed:
    """The mean of a window is an average pooling of its size that goes on by one."""
    x = slide.data(node)
    node.inputs[0] = as_map(slide.op, node, x)
    _pool(node, x)
    return replace(x, tensor=node.outputs[0], window=(1,) * len(x.window), index=None)


def _reduce(slide: Slide, node: Node) -> Placed:
    """ReduceMean and ReduceMax over all positions of a window; the channels stay."""
    x = slide.data(node)
    axes = attribute(node, "axes")
    if axes is None and len(node.inputs) > 1:
        axes = known_value(node.inputs[1])
    order = x.order
    places = (
        sorted({int(a) % (order.ndim + 1) for a in np.ravel(axes)}) if axes is not None else [0]
    )
    if places[:1] in ([], [0]):
        refuse(node, "reduces over the images of a batch")
    kept = [a for a in range(order.ndim) if a + 1 not in places]
    groups = order.transpose(*kept, *(a - 1 for a in places)).reshape(
        *(order.shape[a] for a in kept), -1
    )
    channels = groups // x.positions
    if groups.shape[-1] != x.positions or (channels != channels[..., :1]).any():
        refuse(node, "does not reduce over all positions of a window and over nothing else")
    index = channels[..., 0]
    if attribute(node, "keepdims", 1):
        index = index.reshape([1 if a + 1 in places else n for a, n in enumerate(order.shape)])
    node.inputs = [x.tensor]
    _pool(node, x)
    made = replace(x, tensor=node.outputs[0], window=(1,) * len(x.window), index=None)
    return made.ordered(index)


def _pool(node: Node, x: Placed) -> None:
    node.op = "MaxPool" if "Max" in node.op else "AveragePool"
    node.attrs = {"kernel_shape": list(x.window), "strides": [1] * len(x.window)}


def _dense(slide: Slide, node: Node) -> Placed:
    """A dense layer is a convolution with a kernel as large as the window."""
    x, is_gemm = slide.data(node), node.op == "Gemm"
    weight = constant_value(node.inputs[1])
    if weight is None or weight.ndim != 2 or attribute(node, "transA", 0):
        refuse(node, "has no constant matrix as its weight")
    if attribute(node, "transB", 0):
        weight = weight.T
    if is_gemm and attribute(node, "alpha", 1.0) != 1:
        weight = (weight * attribute(node, "alpha")).astype(weight.dtype)
    kernel = as_weight(node, x, weight)
    outputs, op = kernel.shape[0], slide.op
    inputs = [x.tensor, constant(op.name("weight"), np.ascontiguousarray(kernel))]
    if len(node.inputs) > 2 and not node.inputs[2].is_empty():
        bias = constant_value(node.inputs[2])
        if bias is None or bias.size not in (1, bias.shape[-1] if bias.shape else 1):
            refuse(node, "has no constant vector as its bias")
        scaled = (bias.ravel() * attribute(node, "beta", 1.0)).astype(weight.dtype)
        inputs.append(constant(op.name("bias"), np.broadcast_to(scaled, outputs).copy()))
    row = (*x.order.shape[:-1], outputs)
    node.op, node.inputs, node.attrs = "Conv", inputs, {"kernel_shape": list(x.window)}
    made = Placed(node.outputs[0], outputs, (1,) * len(x.window), x.stride)
    return made.ordered(np.arange(outputs, dtype=np.int32).reshape(row))


def _elementwise(slide: Slide, node: Node) -> Placed:
    placed = [slide.placed[t.name] for t in node.inputs if t.name in slide.placed]
    x = merged(node, placed)
    for i, tensor in enumerate(node.inputs):
        if tensor.name in slide.placed:
            node.inputs[i] = slide.placed[tensor.name].tensor
        elif not tensor.is_empty():
            value = np.asarray(tensor.values) if is_constant(tensor) else known_value(tensor)
            if value is None:
                refuse(node, f"takes '{tensor.name}', which is not of the picture and no constant")
            if value.ndim > x.order.ndim + 1 or (value.size > 1 and node.op in OF_AXIS):
                refuse(node, f"takes a constant of shape {list(value.shape)}")
            node.inputs[i] = constant(slide.op.name("constant"), per_channel(node, x, value))
    return x.at(node.outputs[0])


def _normalized(slide: Slide, node: Node) -> Placed:
    """BatchNormalization and LRN work on axis 1, which holds the channels still."""
    x = slide.data(node)
    if x.has_channels_first():
        node.inputs[0] = x.tensor
        return x.at(node.outputs[0])
    node.inputs[0] = as_map(slide.op, node, x)
    return replace(x, tensor=node.outputs[0], index=None)


def _along_channels(slide: Slide, node: Node) -> Placed:
    """Softmax and its like over the channels; over anything else they see the whole window."""
    x = slide.data(node)
    order = x.order
    axis = int(attribute(node, "axis", -1)) % (order.ndim + 1)
    lines = np.moveaxis(order, axis - 1, -1) if axis else order
    place = lines % x.positions
    if axis == 0 or lines.shape[-1] != x.channels or (place != place[..., :1]).any():
        refuse(node, f"works along axis {axis}, which is not that of the channels")
    node.inputs[0] = x.tensor
    node.attrs["axis"] = 1
    return x.at(node.outputs[0])


Rule = Callable[[Slide, Node], Placed]
SLID: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(("AveragePool", "Conv", "LpPool", "MaxPool"), _window),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global),
    **dict.fromkeys(("ReduceMax", "ReduceMean"), _reduce),
    **dict.fromkeys(("Gemm", "MatMul"), _dense),
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Transpose", "Unsqueeze"), reordered),
    **dict.fromkeys(("BatchNormalization", "LRN"), _normalized),
    **dict.fromkeys(("Hardmax", "LogSoftmax", "Softmax"), _along_channels),
    "Concat": joined,
    "Gather": picked,
    "Pad": _pad,
    "Slice": picked,
}
