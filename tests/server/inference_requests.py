"""What the tests of the Open Inference Protocol share: models of it, and requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from server.running import CLASSIFIER, model

from onnxplain.inference import open_inference_pb2 as pb

DATATYPES = {
    "BOOL": ("bool", "bool_contents"),
    "UINT8": ("uint8", "uint_contents"),
    "UINT16": ("uint16", "uint_contents"),
    "UINT32": ("uint32", "uint_contents"),
    "UINT64": ("uint64", "uint64_contents"),
    "INT8": ("int8", "int_contents"),
    "INT16": ("int16", "int_contents"),
    "INT32": ("int32", "int_contents"),
    "INT64": ("int64", "int64_contents"),
    "FP16": ("float16", ""),
    "FP32": ("float", "fp32_contents"),
    "FP64": ("double", "fp64_contents"),
}

# An output named as one of an explanation.
COLLIDING = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 8, 8] image, float[4, 3, 3, 3] w) => (float[N, 4, 8, 8] score, float[N, 4] top)
{
    score = Conv <pads = [1, 1, 1, 1]> (image, w)
    top = ReduceMean <axes = [2, 3], keepdims = 0> (score)
}
"""

# Two inputs that the class score depends on; bytes are pixels.
TWO_INPUTS = """
<ir_version: 8, opset_import: ["": 17]>
net (uint8[N, 3, 8, 8] image, float[N, 4] gains) => (float[N, 4] scores)
<float[4, 3, 8, 8] w = {WEIGHTS}>
{
    x = Cast <to = 1> (image)
    c = Conv (x, w)
    f = Flatten (c)
    scores = Mul (f, gains)
}
"""

TEXT = """
<ir_version: 8, opset_import: ["": 17]>
net (string[N] words) => (string[N] same) { same = Identity (words) }
"""


# Its answers are larger than its requests.
WIDE = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, H, W] image, float[64, 3, 1, 1] w) => (float[N, 64, H, W] y)
{ y = Conv (image, w) }
"""


def dtype_of(kind: str) -> np.dtype:
    """Return the dtype of a word of ONNX's text."""
    return np.dtype({"float": "f4", "double": "f8"}.get(kind, kind))


def every_datatype() -> onnx.ModelProto:
    """Return a model with an input of each datatype, and an output of the same values."""
    kinds = [kind for kind, _ in DATATYPES.values()]
    inputs = ", ".join(f"{kind}[N, 3] {kind}_in" for kind in kinds)
    outputs = ", ".join(f"{kind}[N, 3] {kind}_out" for kind in kinds)
    nodes = " ".join(f"{kind}_out = Identity ({kind}_in)" for kind in kinds)
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 17]> net ({inputs}) => ({outputs}) {{ {nodes} }}'
    )


def every_input(count: int) -> dict[str, np.ndarray]:
    """Return values for the inputs of `every_datatype`: the ends of their ranges, and NaN."""
    values = {}
    for kind, _ in DATATYPES.values():
        dtype = dtype_of(kind)
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            array = np.array([limits.min, 0, limits.max], dtype)
        elif dtype.kind == "b":
            array = np.array([True, False, True])
        else:
            array = np.array([np.finfo(dtype).max, -0.0, np.nan], dtype)
        values[f"{kind}_in"] = np.stack([array] * count)
    return values


def write_inference_models(folder: Path) -> Path:
    """Write the models into a folder."""
    onnx.save(model(CLASSIFIER), folder / "classifier.onnx")
    for version in (2, 3):
        (folder / "pets" / str(version)).mkdir(parents=True)
        onnx.save(model(CLASSIFIER, seed=version), folder / "pets" / str(version) / "model.onnx")
    onnx.save(model(COLLIDING), folder / "colliding.onnx")
    onnx.save(model(WIDE), folder / "wide.onnx")
    weights = np.linspace(-1, 1, 4 * 3 * 8 * 8)
    text = TWO_INPUTS.replace("WEIGHTS", ", ".join(f"{w:.4f}" for w in weights))
    onnx.save(onnx.parser.parse_model(text), folder / "two_inputs.onnx")
    text = text.replace("uint8[N", "float[N")
    onnx.save(onnx.parser.parse_model(text), folder / "two_floats.onnx")
    onnx.save(onnx.parser.parse_model(TEXT), folder / "text.onnx")
    onnx.save(every_datatype(), folder / "every_datatype.onnx")
    (folder / "broken.onnx").write_bytes(b"this is no model")
    return folder


def request(
    model: str,
    inputs: dict[str, np.ndarray],
    typed: bool = False,
    outputs: tuple[str, ...] = (),
    version: str = "",
    **parameters: bool | int | float | str,
) -> pb.ModelInferRequest:
    """Return a request with raw or typed values."""
    made = pb.ModelInferRequest(model_name=model, model_version=version, id="7")
    names = {dtype_of(kind): name for name, (kind, _) in DATATYPES.items()}
    for name, array in inputs.items():
        datatype = names[array.dtype]
        tensor = made.inputs.add(name=name, datatype=datatype, shape=array.shape)
        if typed:
            getattr(tensor.contents, DATATYPES[datatype][1]).extend(array.ravel().tolist())
        else:
            made.raw_input_contents.append(array.tobytes())
    for name in outputs:
        made.outputs.add(name=name)
    for name, value in parameters.items():
        kind = {bool: "bool", int: "int64", float: "double", str: "string"}[type(value)]
        setattr(made.parameters[name], f"{kind}_param", value)
    return made


def arrays(response: pb.ModelInferResponse) -> dict[str, np.ndarray]:
    """Return the outputs of a response by name."""
    found = {}
    for i, output in enumerate(response.outputs):
        kind, field = DATATYPES[output.datatype]
        dtype = dtype_of(kind)
        if response.raw_output_contents:
            values = np.frombuffer(response.raw_output_contents[i], dtype)
        else:
            values = np.array(getattr(output.contents, field), dtype)
        found[output.name] = values.reshape(tuple(output.shape))
    return found
