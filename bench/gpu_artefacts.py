"""Write the models that `gpu.py` and `gpu_placement.py` load: networks and their artefacts.

    python bench/gpu_artefacts.py FOLDER

For each network of `gpu_nets.py` in float32 and float16, that network and the artefacts of METHODS
are written; for the example network and SqueezeNet, those of every method. The files lack the
values of large tensors, which `gpu_sessions.py` fills in, so that the folder is small.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from gpu_nets import INPUT, NETS, Layer, Net, weight
from onnx import helper, numpy_helper

from onnxplain.graphops import METHODS as EVERY_METHOD
from onnxplain.graphops import Options, forward, load, rewrite

__all__ = ["network"]

FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
METHODS = ("gradient", "deconvnet", "guided_backprop")  # whose time is measured, as Captum's
FEW = 4
LARGE = 4096  # numbers
EXAMPLE = Path(__file__).parents[1] / "examples" / "shapes.onnx"


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.onnx"):
        old.unlink()
    models = {name: network(net) for name, net in NETS.items()}
    for name, model in {"example": forward(load(EXAMPLE)), **models}.items():
        methods = EVERY_METHOD if name in ("example", "SqueezeNet") else METHODS
        for dtype, typed in {"float32": model, "float16": to_float16(model)}.items():
            write(typed, folder / f"{name}-forward-{dtype}.onnx")
            for method in methods:
                artefact = rewrite(typed, None, method, options_of(method))
                write(artefact, folder / f"{name}-{method}-{dtype}.onnx")
    size = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
    print(f"{len(list(folder.iterdir()))} models, {size:.0f} MiB in {folder}")


def options_of(method: str) -> Options:
    """Return options for CUDA, with few samples, so that the batch has a realistic size."""
    taken = {option.name for option in EVERY_METHOD[method].takes}
    own = {name: FEW for name in ("samples", "steps") if name in taken}
    bounds = {"low": (-2.2,), "high": (2.7,)} if "low" in taken else {}
    # Captum's deconvnet starts with one, not with the activation.
    seed = {"seed_value": "one"} if method == "deconvnet" else {}
    return Options(target="cuda", lowering="fast", **own, **bounds, **seed)


def network(net: Net) -> onnx.ModelProto:
    """Return a network of `gpu_nets.py` as an ONNX model in float32."""
    nodes = [_node(layer) for layer in net.layers]
    shapes = {name: shape for layer in net.layers for name, shape in layer.weights.items()}
    weights = [numpy_helper.from_array(weight(n, shape), n) for n, shape in shapes.items()]
    weights += [numpy_helper.from_array(np.array(v, np.float32), n) for n, v in CLIPPED.items()]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(INPUT, FLOAT, ["N", 3, 224, 224])],
        [helper.make_tensor_value_info(net.layers[-1].name, FLOAT, ["N", 1000])],
        weights if any(layer.kind == "Clip" for layer in net.layers) else weights[: -len(CLIPPED)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


CLIPPED = {"least": 0.0, "most": 6.0}


def _node(layer: Layer) -> onnx.NodeProto:
    """Return a layer as a node."""
    sizes: dict[str, object] = {}
    if layer.kind in ("Conv", "MaxPool"):
        kernel, stride, pad = layer.kernel, layer.stride, layer.pad
        sizes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        if layer.kind == "Conv":
            sizes["group"] = layer.groups
    elif layer.kind == "Gemm":
        sizes = {"transB": 1}
    elif layer.kind == "Concat":
        sizes = {"axis": 1}
    inputs = [*layer.inputs, *layer.weights, *(CLIPPED if layer.kind == "Clip" else ())]
    return helper.make_node(layer.kind, inputs, [layer.name], name=layer.name, **sizes)


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


def write(model: onnx.ModelProto, path: Path) -> None:
    """Write a model without the values of its large tensors."""
    light = onnx.ModelProto()
    light.CopyFrom(model)
    for tensor in light.graph.initializer:
        if tensor.data_type in (FLOAT, HALF) and np.prod(tensor.dims) > LARGE:
            tensor.ClearField("raw_data")
    path.write_bytes(light.SerializeToString())


if __name__ == "__main__":
    main()
