"""Convolutions: the backward pass of one is a transposed convolution with the same weights."""

from __future__ import annotations

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, Node, Tensor, attribute, is_fixed, reshape
from onnxplain.graphops.operators import axes, sliding
from onnxplain.graphops.operators.axes import Fields
from onnxplain.graphops.operators.constructors import FRACTION, channels_first
from onnxplain.graphops.operators.operator import Cost, Operator
from onnxplain.graphops.operators.rules import Signals
from onnxplain.graphops.operators.window import Window

__all__ = ["OPERATORS"]


def _conv(op: Emitter, n: Node, g: Tensor) -> Signals:
    """Zeiler and Fergus 2014, section 2.1: filter with the transposed kernels.

    A stride may leave a remainder of the input that no window reaches. Where the sizes are known it
    is `output_padding`; where they are not, the largest possible one is added, then cropped.
    """
    window = Window.of(n)
    attrs = {**window.attrs, "group": attribute(n, "group", 1)}
    pads = window.static_pads()
    remainder = _remainder(window, pads)
    if pads is not None and remainder is not None and pads[0] == pads[1]:
        signal = op.ConvTranspose(
            g, n.inputs[1], **attrs, pads=[*pads[0], *pads[1]], output_padding=remainder
        )
    else:
        spare = [s - 1 for s in window.strides]
        whole = op.ConvTranspose(g, n.inputs[1], **attrs, output_padding=spare)
        signal = window.crop(op, whole)
    return signal, *_to_parameters(op, n, g, window, n.inputs[0], g, pads)


def _conv_transpose(op: Emitter, n: Node, g: Tensor) -> Signals:
    """The forward convolution that this transposes, with the same weights."""
    x = n.inputs[0]
    window = Window.of(n)
    pads = _transposed_pads(n, window)
    signal = op.Conv(g, n.inputs[1], **window.attrs, group=attribute(n, "group", 1), pads=pads)
    rank = len(window.kernel)
    if any(p >= s for p, s in zip(_output_padding(n, window), window.strides, strict=True)):
        signal = op.Slice(signal, [0] * rank, op.shape(x, 2), window.axes)
    return signal, *_to_parameters(op, n, g, window, g, n.inputs[0], (pads[:rank], pads[rank:]))


def _to_parameters(
    op: Emitter,
    n: Node,
    g: Tensor,
    window: Window,
    large: Tensor,
    small: Tensor,
    pads: tuple[list[int], list[int]] | None,
) -> list[Tensor | None]:
    """Return the signals of weight and bias, None where these are constants.

    The weight's is large ∗ small: the larger map filtered with the smaller one, images as channels,
    stride and dilation exchanged. `pads` are those of `large`, None if not known yet.
    """
    signals: list[Tensor | None] = [None] * (len(n.inputs) - 1)
    if not is_fixed(n.inputs[1]):
        axes, group = window.axes, attribute(n, "group", 1)
        if pads is None:
            around = op.Concat([0, 0], window.begin(op), [0, 0], window.end(op), axis=0)
            large, pads = op.Pad(large, around), ([0] * len(axes), [0] * len(axes))
        filtered = op.Conv(
            _images_as_channels(op, large, axes, group),
            op.Transpose(small, perm=[1, 0, *axes]),
            strides=window.dilations,
            dilations=window.strides,
            pads=[*pads[0], *pads[1]],
            group=group,
        )
        whole = op.Transpose(filtered, perm=[1, 0, *axes])
        signals[0] = op.Slice(whole, [0] * len(axes), window.kernel, axes)
    if len(signals) > 1 and not is_fixed(n.inputs[2]):
        signals[1] = op.ReduceSum(g, [0, *window.axes], keepdims=0)
    return signals


def _images_as_channels(op: Emitter, x: Tensor, axes: list[int], group: int) -> Tensor:
    """Return [N, groups·C, ...] as [C, groups·N, ...]."""
    if group == 1:
        return op.Transpose(x, perm=[1, 0, *axes])
    sizes = op.Shape(x, start=2)
    images, channels = op.Shape(x, end=1), op.Div(op.Shape(x, start=1, end=2), [group])
    split = reshape(op, x, images, [group], channels, sizes)
    turned = op.Transpose(split, perm=[2, 1, 0, *(a + 1 for a in axes)])
    return reshape(op, turned, channels, op.Mul(images, [group]), sizes)


def _output_padding(n: Node, window: Window) -> list[int]:
    return list(attribute(n, "output_padding", [0] * len(window.kernel)))


def _transposed_pads(n: Node, window: Window) -> list[int]:
    """Return the padding before and after each axis, by ONNX's formula where `pads` is absent."""
    rank = len(window.kernel)
    shape = attribute(n, "output_shape")
    if shape is None and not window.same:
        return list(attribute(n, "pads", [0] * 2 * rank))
    before, after = [], []
    sizes = (n.inputs[0].shape or [None] * (rank + 2))[2:]
    for axis in range(rank):
        size, stride = sizes[axis], window.strides[axis]
        spare = window.extent[axis] + _output_padding(n, window)[axis] - stride
        if shape is not None:
            if not isinstance(size, int):
                raise UnsupportedModel(
                    f"ConvTranspose '{n.name}' has a fixed output shape and an input of unknown "
                    "size: export the model with fixed sizes"
                )
            spare += size * stride - shape[-rank:][axis]
        spare = max(spare, 0)
        less, more = spare // 2, spare - spare // 2
        upper = window.same == "SAME_UPPER"
        before.append(less if upper else more)
        after.append(more if upper else less)
    return [*before, *after]


def _remainder(window: Window, pads: tuple[list[int], list[int]] | None) -> list[int] | None:
    """Return how many elements of the padded input lie behind the last window on each axis."""
    sizes = window.node.inputs[0].shape
    if pads is None:
        return None
    remainder = []
    for axis, (extent, stride) in enumerate(zip(window.extent, window.strides, strict=True)):
        size = sizes[2 + axis] if sizes else None
        if stride == 1:
            remainder.append(0)
        elif isinstance(size, int):
            remainder.append((size + pads[0][axis] + pads[1][axis] - extent) % stride)
        else:
            return None
    return remainder


@axes.of_first
def _conv_transpose_axes(node: Node, fields: Fields) -> Fields:
    """With stride 1 it is a convolution; with another, the positions' fields differ in size."""
    sized = {"auto_pad", "output_padding", "output_shape"} & node.attrs.keys()
    if max(attribute(node, "strides", [1])) > 1 or sized:
        return axes.windowed(fields, [], [], [])
    window = Window.of(node)
    pads = attribute(node, "pads", [0] * 2 * len(window.kernel))
    starts = [pad - extent + 1 for pad, extent in zip(pads, window.extent, strict=False)]
    return axes.windowed(fields, window.extent, window.strides, starts)


def _cost(node: Node) -> Cost:
    """Each output element of a Conv, or input element of its transpose, uses the kernel once."""
    window, weight = Window.of(node), node.inputs[1].shape
    many = node.outputs[0].shape if node.op == "Conv" else node.inputs[0].shape
    channels = weight[1] if weight is not None else None
    return Cost.of_product([*(many or [None])[1:], channels, *window.kernel], window)


OPERATORS: dict[str, Operator] = {
    "Conv": channels_first(
        _conv, axes=axes.window, slide=sliding.window, cost=_cost, makes_channels=True
    ),
    "ConvTranspose": channels_first(
        _conv_transpose,
        axes=_conv_transpose_axes,
        slide=FRACTION,
        cost=_cost,
        makes_channels=True,
    ),
}
