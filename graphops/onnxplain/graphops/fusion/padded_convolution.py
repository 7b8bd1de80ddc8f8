"""A Pad with zeros before a convolution, whose own padding it is."""

from __future__ import annotations

import numpy as np

from onnxplain.graphops.fusion.fused import Flow, Fused
from onnxplain.graphops.ir import Node, attribute, known_value, optional_input

__all__ = ["padded_convolution"]


def padded_convolution(node: Node, flow: Flow) -> Fused | None:
    """Return the Conv with the padding of both, where a Pad adds zeros along spatial axes."""
    if node.op != "Conv" or not node.inputs[0].inputs or node.inputs[0].shape is None:
        return None
    pad, rank = node.inputs[0].inputs[0], len(node.inputs[0].shape)
    if pad.op != "Pad" or attribute(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return None
    added = _zeros_added(pad, rank)
    if added is None or (added < 0).any() or added[:, :2].any():
        return None
    own = np.reshape(attribute(node, "pads", [0] * 2 * (rank - 2)), (2, -1))
    pads = [int(p) for p in (own + added[:, 2:]).ravel()]
    attrs = {k: v for k, v in node.attrs.items() if k not in ("auto_pad", "pads")}
    return Fused("Conv", [pad.inputs[0], *node.inputs[1:]], [pad, node], pads=pads, **attrs)


def _zeros_added(pad: Node, rank: int) -> np.ndarray | None:
    """Return the zeros before and after each axis, [2, rank], None where they are not known."""
    value, listed = optional_input(pad, 2), optional_input(pad, 3)
    fill = known_value(value) if value is not None else np.zeros(1)
    axes = known_value(listed) if listed is not None else np.arange(rank)
    given = known_value(pad.inputs[1])
    if attribute(pad, "mode", "constant") != "constant" or fill is None or fill.any():
        return None
    if axes is None or given is None:
        return None
    added = np.zeros((2, rank), np.int64)
    added[:, axes % rank] = given.reshape(2, -1)
    return added
