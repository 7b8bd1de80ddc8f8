"""Building blocks that ONNX Runtime keeps in its blocked layout on the CPU.

It holds float32 maps in blocks of 16 channels (8 without AVX-512), in which Conv, MaxPool,
AveragePool, Add, Mul of equal shapes, Concat, Relu, Sigmoid, HardSigmoid and nearest Resize run,
and fuses a convolution with the sum or the activation behind it. Whatever else touches a map costs
a copy there and back. So these spell what is needed as steps and depthwise convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from onnxplain.graphops.ir import Emitter, Tensor, is_static

__all__ = [
    "STEEP",
    "channels_of",
    "depthwise",
    "interleaved",
    "repeated",
    "scaled",
    "sizes_of",
    "step",
]

BLOCK = 16
STEEP = 3e38  # times any normal float32 above zero, it is over 1


def channels_of(tensor: Tensor) -> int | None:
    """Return the number of channels of float32 maps [N, C, H, W] in whole blocks, else None."""
    if tensor.dtype != np.float32 or tensor.shape is None or len(tensor.shape) != 4:
        return None
    channels = tensor.shape[1]
    return channels if isinstance(channels, int) and channels and channels % BLOCK == 0 else None


def sizes_of(tensor: Tensor) -> list[int] | None:
    """Return height and width of maps, None where they are not known."""
    sizes = (tensor.shape or [])[2:]
    return list(sizes) if len(sizes) == 2 and is_static(sizes) else None


def depthwise(
    op: Emitter,
    x: Tensor,
    kernel: npt.NDArray[np.floating],
    bias: float = 0.0,
    strides: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
) -> Tensor:
    """Filter every channel of maps with one kernel [h, w] and add a bias."""
    batch = (op.signal_shape(x) or [None])[0]
    channels = channels_of(x) or 0
    weight = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
    inputs = [x, op.constant(weight, np.float32)]
    if bias:
        inputs.append(op.constant(np.full(channels, bias), np.float32))
    size, attrs = list(kernel.shape), {"strides": list(strides), "pads": list(pads)}
    result = op.Conv(*inputs, group=channels, kernel_shape=size, **attrs)
    result.shape = [batch, channels, *_sizes_after(x, size, strides, pads)]
    return result


def scaled(op: Emitter, x: Tensor, factor: float, bias: float = 0.0) -> Tensor:
    """Return factor·x + bias."""
    return depthwise(op, x, np.full((1, 1), factor), bias)


def step(op: Emitter, x: Tensor, slope: float, bias: float = 0.0) -> Tensor:
    """Return slope·x + bias, limited to 0 and 1."""
    result = op.HardSigmoid(x, alpha=float(slope), beta=float(bias))
    result.shape = op.signal_shape(x)
    return result


def repeated(op: Emitter, x: Tensor, times: Sequence[int]) -> Tensor:
    """Repeat each element of maps `times` along height and width."""
    result = op.Resize(
        x, None, op.constant([1, 1, *times], np.float32), mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )  # fmt: skip
    sizes = sizes_of(x)
    if sizes is not None and x.shape is not None:
        result.shape = [*x.shape[:2], *(s * n for s, n in zip(sizes, times, strict=True))]
    return result


def interleaved(
    op: Emitter,
    phases: Sequence[Tensor],
    strides: Sequence[int],
    channels: int,
    start: Sequence[int],
    sizes: Sequence[int],
) -> Tensor:
    """Interleave maps [N, C, h, w] along height and width, and crop to `sizes` from `start` on.

    phases: those of the first row of each stride, from left to right, then of the next. What lies
    behind their last row and column is zero.
    """
    height, width = sizes_of(phases[0]) or [0, 0]
    (down, across), rows = strides, []
    for row in range(down):
        parts = phases[row * across : (row + 1) * across]
        if across > 1:  # ONNX Runtime's Transpose would take ten times as long on two threads
            columns = op.Concat(*(op.Unsqueeze(part, [4]) for part in parts), axis=4)
            parts = [op.Reshape(columns, [-1, channels, height, width * across])]
        rows.append(parts[0])
    whole = rows[0]
    if down > 1:
        beside = op.Concat(*rows, axis=3)
        whole = op.Reshape(beside, [-1, channels, height * down, width * across])
    ends = [start[0] + sizes[0], start[1] + sizes[1]]
    missing = [max(0, ends[0] - height * down), max(0, ends[1] - width * across)]
    if any(missing):
        whole = op.Pad(whole, [0] * 6 + missing)
    if any(start) or ends != [height * down, width * across]:
        whole = op.Slice(whole, list(start), ends, [2, 3])
    return whole


def _sizes_after(
    x: Tensor, kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int]
) -> list[int | None]:
    sizes = sizes_of(x)
    if sizes is None:
        return [None, None]
    return [(sizes[i] + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1 for i in (0, 1)]
