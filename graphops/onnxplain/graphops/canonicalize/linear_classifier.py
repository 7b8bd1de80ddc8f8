"""The scores inside scikit-learn's linear classifiers, which ONNX computes in a single operator.

A LinearClassifier returns labels and, in most files, probabilities. Its scores X·Wᵀ + b are written
beside it as a Gemm, so that they can be explained; the node and the network's outputs stay.
"""

from __future__ import annotations

import numpy as np
import onnx_graphsurgeon as gs

from onnxplain.graphops.ir import Graph, Node, attribute, constant, is_float, numpy_type

__all__ = ["expose_linear_scores"]

DOMAIN = "ai.onnx.ml"


def expose_linear_scores(graph: Graph) -> None:
    """Append the scores of each LinearClassifier that has one row of coefficients per class."""
    for node in [n for n in graph.nodes if n.op == "LinearClassifier" and n.domain == DOMAIN]:
        weights = np.asarray(attribute(node, "coefficients", ()), np.float32)
        x, classes = node.inputs[0], len(_labels(node))
        if not is_float(x) or not classes or weights.size % classes or x.shape is None:
            continue
        features = weights.size // classes
        biases = np.zeros(classes, np.float32)
        given = np.asarray(attribute(node, "intercepts", ()), np.float32)
        if (
            given.size not in (0, classes)
            or len(x.shape) != 2
            or x.shape[1] not in (features, None)
        ):
            continue
        biases[:] = given if given.size else 0
        name, kind = f"onnxplain/{node.outputs[1].name}/scores", numpy_type(x.dtype)
        scores = gs.Variable(name, dtype=x.dtype, shape=[x.shape[0], classes])
        rows = weights.reshape(classes, features).astype(kind)
        values = [constant(f"{name}/coefficients", rows)]
        values.append(constant(f"{name}/intercepts", biases.astype(kind)))
        gemm = gs.Node("Gemm", name, {"transB": 1}, inputs=[x, *values], outputs=[scores])
        graph.nodes.insert(graph.nodes.index(node), gemm)
        rescaled = [t for n in node.outputs[1].outputs if n.op == "Normalizer" for t in n.outputs]
        for probabilities in (node.outputs[1], *rescaled):  # which shape inference leaves untyped
            if probabilities.dtype is None:
                probabilities.dtype = np.dtype(np.float32)
            probabilities.shape = probabilities.shape or [x.shape[0], classes]


def _labels(node: Node) -> list[int] | list[str]:
    labels: list[int] = attribute(node, "classlabels_ints", [])
    return labels or attribute(node, "classlabels_strings", [])
