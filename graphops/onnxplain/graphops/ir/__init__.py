"""The editable graph: reading and writing models, appending nodes, constants, shape inference."""

from onnxplain.graphops.ir.constants import known_value
from onnxplain.graphops.ir.emitter import HALF, Emitter
from onnxplain.graphops.ir.exporter import write
from onnxplain.graphops.ir.graph import (
    Graph,
    Node,
    Tensor,
    attribute,
    constant,
    copy_graph,
    is_constant,
    is_fixed,
    is_float,
    lowest_finite,
    numpy_type,
    onnx_type,
    reads,
    rename,
)
from onnxplain.graphops.ir.importer import name_scopes, read
from onnxplain.graphops.ir.io import load, opset_of, read_metadata, save, write_atomically
from onnxplain.graphops.ir.shape_inference import infer_shapes, with_shapes
from onnxplain.graphops.ir.validity import blaming

__all__ = [
    "Emitter",
    "Graph",
    "HALF",
    "Node",
    "Tensor",
    "attribute",
    "blaming",
    "constant",
    "copy_graph",
    "infer_shapes",
    "is_constant",
    "is_fixed",
    "is_float",
    "known_value",
    "load",
    "lowest_finite",
    "name_scopes",
    "numpy_type",
    "onnx_type",
    "opset_of",
    "read",
    "read_metadata",
    "reads",
    "rename",
    "save",
    "with_shapes",
    "write",
    "write_atomically",
]
