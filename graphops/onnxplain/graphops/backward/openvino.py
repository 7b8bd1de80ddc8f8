"""What OpenVINO asks of an artefact: no two readers of one packed weight."""

from __future__ import annotations

from onnxplain.graphops.ir import Emitter, Node, Tensor, is_float, reads

__all__ = ["part_weights"]

PACKERS = {"Conv", "ConvTranspose", "Gemm", "MatMul", "Transpose"}


def part_weights(op: Emitter) -> None:
    """Give each way of reading a weight a tensor of its own, the weight negated twice.

    OpenVINO packs a weight for the operator that reads it, and keeps the packed copy under the
    weight's address and packed size. A square weight that Conv and ConvTranspose share, or that
    MatMuls read from both sides, is then wrong for one of them (seen in 2026.4, CPU). It folds the
    negations at load, into a constant of another address.
    """
    made_of_input = {t.name for t in op.graph.inputs}
    first: dict[str, tuple[str, ...]] = {}
    copies: dict[tuple[str, ...], Tensor] = {}
    with op.collecting() as nodes, op.scoped("weights"):
        for node in op.graph.nodes:
            if any(t.name in made_of_input for t in reads(node)):
                made_of_input.update(t.name for t in node.outputs)
            for i, tensor in enumerate(node.inputs):
                if node.op not in PACKERS or not _is_weight(tensor, made_of_input):
                    continue
                way = (tensor.name, node.op, str(i), *_sides(node))
                if first.setdefault(tensor.name, way) != way:
                    if way not in copies:
                        copies[way] = op.raw("Neg", op.raw("Neg", tensor))
                    node.inputs[i] = copies[way]
            op.append(node)
    op.graph.nodes = nodes


def _is_weight(tensor: Tensor, made_of_input: set[str]) -> bool:
    matrix = is_float(tensor) and tensor.shape is not None and len(tensor.shape) > 1
    return matrix and tensor.name not in made_of_input


def _sides(node: Node) -> tuple[str, ...]:
    return tuple(str(node.attrs.get(name)) for name in ("transA", "transB", "perm"))
