"""Nets of ONNX text, the artefacts of nets, and running both."""

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from onnxplain.graphops import Options, rewrite

# The methods that are one walk back and differ in their rectifiers.
RECTIFIED = ("gradient", "deconvnet", "guided_backprop")

# Takes any height and width; its class score is `scores`.
SMALL = """
<ir_version: 8, opset_import: ["": 17]>
small (float[N, 3, H, W] x, float[6, 3, 3, 3] w1, float[6] b1, float[5, 6, 3, 3] w2, float[5] b2,
       float[4, 5] w3, float[4] b3) => (float[N, 4] y)
{
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    r1 = Relu (c1)
    p1 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r1)
    c2 = Conv (p1, w2, b2)
    r2 = Relu (c2)
    means = GlobalAveragePool (r2)
    flat = Flatten (means)
    scores = Gemm <transB = 1> (flat, w3, b3)
    y = Softmax <axis = 1> (scores)
}
"""
DENSE = """
<ir_version: 8, opset_import: ["": 17]>
dense (float[N, 9] x, float[9, 6] w1, float[6] b1, float[6, 4] w2) => (float[N, 4] y)
{ h = Gemm (x, w1, b1) r = Relu (h) y = MatMul (r, w2) }
"""
CONVOLUTIONAL = """
<ir_version: 8, opset_import: ["": 17]>
whole (float[N, 3, H, W] x, float[6, 3, 3, 3] w1, float[4, 6, 1, 1] w2) => (float[N, 4, H, W] y)
{ c1 = Conv <pads = [1, 1, 1, 1]> (x, w1) r1 = Relu (c1) y = Conv (r1, w2) }
"""


def network(text, inputs=("x",), seed=0):
    """Return the model that an ONNX text says, every declared input but `inputs` a random weight.

    Weights that have `var` in their names are positive.
    """
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(seed)
    for value in [v for v in model.graph.input if v.name not in inputs]:
        tensor = value.type.tensor_type
        shape = [d.dim_value for d in tensor.shape.dim]
        weight = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        if "var" in value.name:
            weight = 0.5 + weight**2
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        model.graph.initializer.append(numpy_helper.from_array(weight.astype(dtype), value.name))
        model.graph.input.remove(value)
    onnx.checker.check_model(model, full_check=True)
    return model


def weights(model):
    """Return the model's initialisers by name."""
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def artefact(model, layer=None, method="gradient", **options):
    """Return the rewritten model, having checked that it is valid."""
    made = rewrite(model, layer, method, Options(**options))
    onnx.checker.check_model(made, full_check=True)
    return made


def session(model, optimized=True):
    """Return a session of ONNX Runtime on one thread of the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(model, optimized=True, **feeds):
    """Return the outputs of a model or a session by name."""
    opened = model if isinstance(model, ort.InferenceSession) else session(model, optimized)
    names = [o.name for o in opened.get_outputs()]
    return dict(zip(names, opened.run(names, feeds), strict=True))


def value_of(model, tensor, **feeds):
    """Return a tensor inside the network, by ONNX's reference evaluator."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.graph.output[:]
    cut.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    return ReferenceEvaluator(cut).run(None, feeds)[0]


def images(count=2, size=(67, 59), channels=3, seed=0, dtype=np.float32):
    """Return random images, [count, channels, *size], some brighter than others."""
    rng = np.random.default_rng(seed)
    noise, brightness = (rng.standard_normal((count, channels, *s)) for s in (size, (1, 1)))
    return (noise + 0.4 * brightness).astype(dtype)
