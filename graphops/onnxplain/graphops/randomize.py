"""Networks that have forgotten what they learnt, from the top layer down.

Adebayo et al. 2018: an explanation that stays the same while the weights become random does not
explain the network.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from onnxplain.graphops.errors import UnsupportedModel

__all__ = ["randomized"]


def randomized(model: onnx.ModelProto, seed: int = 0) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Yield (name of a node, the model with the weights of it and of all nodes above it shuffled).

    From the last node that has floating-point weights to the first; each weight keeps its own
    values in another order. Raises UnsupportedModel where no node has weights.
    """
    rng = np.random.default_rng(seed)
    shuffled = onnx.ModelProto()
    shuffled.CopyFrom(model)
    weights = {t.name: t for t in shuffled.graph.initializer if _is_weight(t)}
    found = False
    for node in reversed(shuffled.graph.node):
        own = [weights.pop(name) for name in node.input if name in weights]
        for tensor in own:
            values = numpy_helper.to_array(tensor)
            mixed = rng.permutation(values.ravel()).reshape(values.shape)
            tensor.CopyFrom(numpy_helper.from_array(mixed, tensor.name))
        if own:
            found = True
            step = onnx.ModelProto()
            step.CopyFrom(shuffled)
            yield node.name or node.output[0], step
    if not found:
        raise UnsupportedModel(
            "no node of the model reads weights of its own, so there are none to shuffle: export "
            "it with its weights as initialisers"
        )


def _is_weight(tensor: onnx.TensorProto) -> bool:
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    return tensor.data_type in floats and int(np.prod(tensor.dims)) > 1
