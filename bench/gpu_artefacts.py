"""Write the models that `gpu.py` measures: each method's artefact, and the network by itself.

Both in float32 and float16, for two networks: the example, and SqueezeNet with random weights.
Usage: `python bench/gpu_artefacts.py FOLDER`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxplain.graphops import METHODS, Options, forward, load, rewrite, save

FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
FEW = 4
EXAMPLE = Path(__file__).parents[1] / "examples" / "shapes.onnx"


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for net, model in {"shapes": load(EXAMPLE), "squeezenet": squeezenet()}.items():
        for dtype, typed in {"float32": model, "float16": to_float16(model)}.items():
            save(forward(typed), folder / f"{net}-forward-{dtype}.onnx")
            for method in METHODS:
                artefact = rewrite(typed, None, method, options_of(method))
                save(artefact, folder / f"{net}-{method}-{dtype}.onnx")


def options_of(method: str) -> Options:
    """Return options for CUDA, with few samples, so that the batch has a realistic size."""
    taken = {option.name for option in METHODS[method].takes}
    own = {name: FEW for name in ("samples", "steps") if name in taken}
    bounds = {"low": (-2.2,), "high": (2.7,)} if "low" in taken else {}
    return Options(target="cuda", **own, **bounds)


def squeezenet() -> onnx.ModelProto:
    """SqueezeNet 1.1 (Iandola et al. 2016), random weights: overlapping pools, concatenation."""
    rng = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def conv(x: str, name: str, inputs: int, outputs: int, kernel: int, **attrs: object) -> str:
        scale = np.sqrt(2 / (inputs * kernel * kernel))
        values = rng.normal(0, scale, (outputs, inputs, kernel, kernel)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"{name}_w"))
        nodes.append(helper.make_node("Conv", [x, f"{name}_w"], [name], name=name, **attrs))
        nodes.append(helper.make_node("Relu", [name], [f"{name}_relu"], name=f"{name}_relu"))
        return f"{name}_relu"

    def pool(x: str) -> str:
        attrs = {"kernel_shape": [3, 3], "strides": [2, 2]}
        nodes.append(helper.make_node("MaxPool", [x], [f"{x}_pool"], f"{x}_pool", **attrs))
        return f"{x}_pool"

    def fire(x: str, name: str, inputs: int, squeeze: int, expand: int) -> str:
        x = conv(x, f"{name}_squeeze", inputs, squeeze, 1)
        left = conv(x, f"{name}_1x1", squeeze, expand, 1)
        right = conv(x, f"{name}_3x3", squeeze, expand, 3, pads=[1, 1, 1, 1])
        nodes.append(helper.make_node("Concat", [left, right], [name], name=name, axis=1))
        return name

    x = pool(conv("image", "conv1", 3, 64, 3, strides=[2, 2]))
    x = pool(fire(fire(x, "fire2", 64, 16, 64), "fire3", 128, 16, 64))
    x = pool(fire(fire(x, "fire4", 128, 32, 128), "fire5", 256, 32, 128))
    x = fire(fire(x, "fire6", 256, 48, 192), "fire7", 384, 48, 192)
    x = fire(fire(x, "fire8", 384, 64, 256), "fire9", 512, 64, 256)
    x = conv(x, "conv10", 512, 1000, 1)
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["scores"], name="pool10"))
    graph = helper.make_graph(
        nodes,
        "squeezenet",
        [helper.make_tensor_value_info("image", FLOAT, ["N", 3, 224, 224])],
        [helper.make_tensor_value_info("scores", FLOAT, ["N", 1000, 1, 1])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with float16 weights, inputs and outputs; all its floats are float32."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    for tensor in half.graph.initializer:
        if tensor.data_type == FLOAT:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    del half.graph.value_info[:]
    for value in [*half.graph.input, *half.graph.output]:
        if value.type.tensor_type.elem_type == FLOAT:
            value.type.tensor_type.elem_type = HALF
    return half


if __name__ == "__main__":
    main()
