"""Networks with shuffled weights, from the top layer down.

Adebayo et al. 2018: an explanation that stays the same while the weights become random does not
explain the network.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from onnxplain.graphops.errors import UnsupportedModel

__all__ = ["randomized", "weights_from_top"]


def weights_from_top(model: onnx.ModelProto) -> list[list[str]]:
    """Return the names of the floating-point weights of each node that has any, last node first.

    A weight that several nodes read belongs to the last. Raises UnsupportedModel without weights.
    """
    weights = {tensor.name for tensor in model.graph.initializer if _is_weight(tensor)}
    by_node = []
    for node in reversed(model.graph.node):
        if own := [name for name in dict.fromkeys(node.input) if name in weights]:
            weights.difference_update(own)
            by_node.append(own)
    if not by_node:
        raise UnsupportedModel(
            "no node of the model reads weights, so there are none to shuffle: export it with its "
            "weights as initialisers"
        )
    return by_node


def randomized(model: onnx.ModelProto, seed: int = 0) -> Iterator[onnx.ModelProto]:
    """Yield the model with more and more weights shuffled, those of its last node first.

    One model per entry of `weights_from_top`: its weights and those of the entries before it are
    permuted. Raises UnsupportedModel without weights.
    """
    rng = np.random.default_rng(seed)
    shuffled = onnx.ModelProto()
    shuffled.CopyFrom(model)
    tensors = {tensor.name: tensor for tensor in shuffled.graph.initializer}
    for own in weights_from_top(model):
        for tensor in map(tensors.__getitem__, own):
            values = numpy_helper.to_array(tensor)
            mixed = rng.permutation(values.ravel()).reshape(values.shape)
            tensor.CopyFrom(numpy_helper.from_array(mixed, tensor.name))
        step = onnx.ModelProto()
        step.CopyFrom(shuffled)
        yield step


def _is_weight(tensor: onnx.TensorProto) -> bool:
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    return tensor.data_type in floats and int(np.prod(tensor.dims)) > 1
