"""Small networks written as ONNX text, with random weights."""

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

# Two convolutions with an overlapping pool between them; class scores by average pooling.
CLASSIFIER = """
<ir_version: 8, opset_import: ["": 17]>
net ({dtype}[N, 3, H, W] x, {dtype}[6, 3, 3, 3] w1, {dtype}[6] b1, {dtype}[8, 6, 3, 3] w2,
     {dtype}[8, 5] w3)
    => ({dtype}[N, 5] scores)
{{
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    r1 = Relu (c1)
    p1 = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (r1)
    c2 = Conv <pads = [1, 1, 1, 1]> (p1, w2)
    r2 = Relu (c2)
    g = GlobalAveragePool (r2)
    f = Flatten (g)
    scores = MatMul (f, w3)
}}
"""


def classifier(dtype: str = "float", seed: int = 0) -> onnx.ModelProto:
    return with_random_weights(CLASSIFIER.format(dtype=dtype), seed)


def with_random_weights(text: str, seed: int = 0) -> onnx.ModelProto:
    """Parse a network whose inputs after the first are weights, and fill these in."""
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(seed)
    for value in list(model.graph.input)[1:]:
        kind = value.type.tensor_type
        shape = [d.dim_value for d in kind.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        scale = np.sqrt(2 / max(1, np.prod(shape[1:])))
        weights = (rng.standard_normal(shape) * scale).astype(dtype)
        model.graph.initializer.append(numpy_helper.from_array(weights, value.name))
        model.graph.input.remove(value)
    onnx.checker.check_model(model)
    return model


def pictures(count: int, height: int = 17, width: int = 15, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return list(rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def set_metadata(model: onnx.ModelProto, key: str, value: str) -> onnx.ModelProto:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    changed.metadata_props.add(key=key, value=value)
    return changed
