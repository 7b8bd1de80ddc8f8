"""The editable graph: reading and writing models, appending nodes, constants, shape inference."""

from onnxplain.graphops.ir.constants import known_value
from onnxplain.graphops.ir.emitter import Emitter
from onnxplain.graphops.ir.exporter import write
from onnxplain.graphops.ir.graph import (
    Body,
    DType,
    Graph,
    Node,
    Shape,
    Tensor,
    attribute,
    constant,
    dimension_names,
    dtype_of,
    is_constant,
    is_fixed,
    is_float,
    is_half,
    is_known_size,
    is_standard,
    is_static,
    lowest_finite,
    numpy_type,
    onnx_type,
    optional_input,
    rank_of,
    reads,
    rename,
    shape_of,
)
from onnxplain.graphops.ir.importer import name_scopes, read
from onnxplain.graphops.ir.io import load, opset_of, read_metadata, save, write_atomically
from onnxplain.graphops.ir.shape_inference import infer_shapes, with_shapes
from onnxplain.graphops.ir.stand_in import StandIn
from onnxplain.graphops.ir.validity import diagnosing

__all__ = [
    "Body",
    "DType",
    "Emitter",
    "Graph",
    "Node",
    "Shape",
    "StandIn",
    "Tensor",
    "attribute",
    "diagnosing",
    "dimension_names",
    "constant",
    "dtype_of",
    "infer_shapes",
    "is_constant",
    "is_fixed",
    "is_float",
    "is_half",
    "is_known_size",
    "is_standard",
    "is_static",
    "known_value",
    "load",
    "lowest_finite",
    "name_scopes",
    "numpy_type",
    "onnx_type",
    "opset_of",
    "optional_input",
    "rank_of",
    "read",
    "read_metadata",
    "reads",
    "rename",
    "save",
    "shape_of",
    "with_shapes",
    "write",
    "write_atomically",
]
