"""The shapes of a model's tensors, by ONNX's own inference."""

from __future__ import annotations

import numpy as np
import onnx

from onnxplain.graphops.errors import CorruptModel

__all__ = ["with_shapes"]

SMALL = 4096  # elements: larger constants can mean nothing to shape inference


def with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of `model` with inferred shapes and without its large constants."""
    light = onnx.ModelProto()
    light.ir_version = max(model.ir_version, 4)
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    light.graph.name = model.graph.name or "graph"
    light.graph.node.extend(model.graph.node)
    light.graph.output.extend(model.graph.output)
    light.graph.value_info.extend(model.graph.value_info)
    constants = {t.name for t in model.graph.initializer}
    light.graph.input.extend(i for i in model.graph.input if i.name not in constants)
    for tensor in model.graph.initializer:
        if int(np.prod(tensor.dims)) <= SMALL:
            light.graph.initializer.append(tensor)
        else:
            light.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    try:
        return onnx.shape_inference.infer_shapes(light, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as e:
        raise CorruptModel(f"the model's shapes contradict: {' '.join(str(e).split())}") from e
