"""A workaround for OpenVINO, which confuses packed copies of a weight with several readers."""

from __future__ import annotations

from onnxplain.graphops.ir import Emitter, Node, Tensor, is_float, reads

__all__ = ["separate_shared_weights"]

PACKERS = {"Conv", "ConvTranspose", "Gemm", "MatMul", "Transpose"}


def separate_shared_weights(op: Emitter) -> None:
    """Let operators that pack a weight differently read separate copies, each negated twice.

    OpenVINO packs a weight for the operator that reads it, and caches the packed copy under the
    weight's address and packed size. A square weight that Conv and ConvTranspose share, or that
    MatMuls read from both sides, is then wrong for one of them (seen in 2026.4, CPU). OpenVINO
    folds the negations at load, into a constant at another address.
    """
    computed = {t.name for t in op.graph.inputs}
    first: dict[str, tuple[str, ...]] = {}
    copies: dict[tuple[str, ...], Tensor] = {}
    with op.collecting() as nodes, op.scoped("weights"):
        for node in op.graph.nodes:
            if any(t.name in computed for t in reads(node)):
                computed.update(t.name for t in node.outputs)
            for i, tensor in enumerate(node.inputs):
                if node.op not in PACKERS or not _is_weight(tensor, computed):
                    continue
                use = (tensor.name, node.op, str(i), *_sides(node))
                if first.setdefault(tensor.name, use) != use:
                    if use not in copies:
                        copies[use] = op.raw("Neg", op.raw("Neg", tensor))
                    node.inputs[i] = copies[use]
            op.append(node)
    op.graph.nodes = nodes


def _is_weight(tensor: Tensor, computed: set[str]) -> bool:
    matrix = is_float(tensor) and tensor.shape is not None and len(tensor.shape) > 1
    return matrix and tensor.name not in computed


def _sides(node: Node) -> tuple[str, ...]:
    return tuple(str(node.attrs.get(name)) for name in ("transA", "transB", "perm"))
