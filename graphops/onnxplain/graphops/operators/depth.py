"""DepthToSpace and SpaceToDepth, which trade channels for positions."""

from __future__ import annotations

from typing import Any

from onnxplain.graphops.ir import Emitter, Node, attribute
from onnxplain.graphops.operators import axes
from onnxplain.graphops.operators.axes import Fields
from onnxplain.graphops.operators.kinds import channels_first
from onnxplain.graphops.operators.operator import Operator, Without
from onnxplain.graphops.operators.table import Signals

__all__ = ["OPERATORS"]


def _depth_to_space(op: Emitter, n: Node, g: Any) -> Signals:
    block = attribute(n, "blocksize")
    if attribute(n, "mode", "DCR") == "DCR":
        return (op.SpaceToDepth(g, blocksize=block),)
    shape = op.shape(n.inputs[0])
    rows, columns = op.Slice(shape, [2], [3]), op.Slice(shape, [3], [4])
    apart = op.Concat([0, -1], rows, [block], columns, [block], axis=0)
    blocks = op.Transpose(op.Reshape(g, apart), perm=[0, 1, 3, 5, 2, 4])
    return (op.reshape_like(blocks, n.inputs[0]),)


def _space_to_depth(op: Emitter, n: Node, g: Any) -> Signals:
    return (op.DepthToSpace(g, blocksize=attribute(n, "blocksize"), mode="DCR"),)


@axes.of_first
def _space_to_depth_axes(node: Node, fields: Fields) -> Fields:
    block = [attribute(node, "blocksize")] * 2
    return axes.windowed(fields, block, block, [0, 0])


OPERATORS: dict[str, Operator] = {
    "DepthToSpace": channels_first(
        _depth_to_space,
        axes=axes.batch_only,
        slide=Without("one step of the map would be a fraction of a pixel"),
    ),
    "SpaceToDepth": channels_first(
        _space_to_depth,
        axes=_space_to_depth_axes,
        slide=Without("its blocks would begin elsewhere in each window"),
    ),
}
