"""The channel axis of a tensor."""

from __future__ import annotations

from onnxplain.graphops.ir import Node, Tensor, attribute, is_constant, rank_of
from onnxplain.graphops.operators import OPERATORS, Channels

__all__ = ["channel_axis", "has_channels_last"]


def channel_axis(tensor: Tensor) -> int | None:
    """Return the channel axis, 1 or the last; None below rank 2.

    A tensor of rank 3 is a sequence of vectors [N, L, C], unless it is the output of a convolution
    or a pooling, [N, C, L]. One of a higher rank has its channels last if a Transpose moved them
    there, or moves them from there.
    """
    if tensor.shape is None or len(tensor.shape) < 2:
        return None
    rank = len(tensor.shape)
    if rank == 3:
        return 1 if _is_channels_first(tensor) else 2
    return rank - 1 if rank > 3 and _is_channels_last(tensor) else 1


def has_channels_last(picture: Tensor) -> bool:
    """Tell whether of a picture's axes only the last has the size of a channel axis, 1 or 3."""
    shape = picture.shape or ()
    return len(shape) == 4 and shape[1] not in (1, 3) and shape[3] in (1, 3)


def _is_channels_first(tensor: Tensor) -> bool:
    """Tell whether the tensor is computed or read by an operator whose channel axis is 1."""
    origin = _origin(tensor)
    if not origin.inputs:
        return origin is tensor and any(
            _channels(n) is Channels.FIRST and n.inputs[0] is tensor for n in tensor.outputs
        )
    return _channels(origin.inputs[0]) is Channels.FIRST


def _is_channels_last(tensor: Tensor) -> bool:
    """Tell whether a Transpose moved axis 1 to the end, or moves the input's last axis there."""
    origin, rank = _origin(tensor), rank_of(tensor)
    if origin.inputs:
        node, last = origin.inputs[0], [0, *range(2, rank), 1]
        return bool(node.op == "Transpose" and attribute(node, "perm") == last)
    first = [0, rank - 1, *range(1, rank - 1)]
    readers = [n for t in (origin, tensor) for n in t.outputs]
    return any(n.op == "Transpose" and attribute(n, "perm") == first for n in readers)


def _origin(tensor: Tensor) -> Tensor:
    """Step back over nodes that keep the order of the axes."""
    rank = rank_of(tensor)
    while tensor.inputs and _channels(tensor.inputs[0]) is Channels.KEPT:
        data = [t for t in tensor.inputs[0].inputs if not is_constant(t)]
        same = [t for t in data if t.shape is not None and len(t.shape) == rank]
        if not same:
            break
        tensor = next((t for t in same if t.inputs), same[0])
    return tensor


def _channels(node: Node) -> Channels:
    operator = OPERATORS.get(node.op)
    return operator.channels if operator is not None else Channels.UNKNOWN
