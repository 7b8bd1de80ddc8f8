"""A second forward pass on other images: gathered ones, noisy ones, a baseline.

Copies only the nodes that depend on the images; weights are shared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_graphsurgeon as gs

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, Node, Tensor, is_constant, reads

__all__ = ["repeat_forward"]


def repeat_forward(
    op: Emitter,
    nodes: Iterable[Node],
    start: Mapping[str, Tensor],
    sizes: Mapping[int | str | None, int | str | None],
) -> dict[str, Tensor]:
    """Append a copy of those of `nodes` that depend on the tensors named in `start`.

    start: the copy's replacements by the names of the original tensors. sizes: the copy's batch
    dimension by the original one. Returns the copied tensors by the names of their originals,
    `start` included.
    """
    copies = dict(start)
    for node in nodes:
        if not any(t.name in copies for t in reads(node)):
            continue
        if all(t.name in copies for t in node.outputs):
            continue
        if len(reads(node)) > len(node.inputs):
            raise UnsupportedModel(
                f"{node.op} '{node.name}' reads the network from inside its body, so the forward "
                "pass cannot be repeated: select 'channel', and run once for each result"
            )
        inputs = [copies.get(t.name, t) for t in node.inputs]
        with op.scoped(""):
            outputs = [_copy(op, t, sizes) for t in node.outputs]
            name = op.name(node.name)
        copied = {t.name: c for t, c in zip(node.outputs, outputs, strict=True) if t.name}
        copies = copied | copies
        op.append(gs.Node(node.op, name, dict(node.attrs), inputs, outputs, node.domain))
    return copies


def _copy(
    op: Emitter, tensor: Tensor, sizes: Mapping[int | str | None, int | str | None]
) -> Tensor:
    if tensor.is_empty() or is_constant(tensor):
        return tensor
    shape = tensor.shape
    if shape is not None:
        shape = [sizes.get(d, d if isinstance(d, int) else None) for d in shape]
    return gs.Variable(op.name(tensor.name), dtype=tensor.dtype, shape=shape)
