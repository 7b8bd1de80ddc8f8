from collections.abc import Iterable, Mapping
from typing import overload

import onnx
from onnx_graphsurgeon.ir.graph import Graph
from onnx_graphsurgeon.ir.tensor import Constant, Tensor, Variable

class OnnxImporter:
    @staticmethod
    def get_opset(model: onnx.ModelProto) -> int: ...
    @staticmethod
    def get_import_domains(model: onnx.ModelProto) -> Iterable[onnx.OperatorSetIdProto]: ...
    @staticmethod
    def import_graph(
        onnx_graph: onnx.GraphProto,
        tensor_map: Mapping[str, Tensor] | None = None,
        opset: int | None = None,
        import_domains: Iterable[onnx.OperatorSetIdProto] | None = None,
        ir_version: int | None = None,
    ) -> Graph: ...
    @overload
    @staticmethod
    def import_tensor(onnx_tensor: onnx.TensorProto) -> Constant: ...
    @overload
    @staticmethod
    def import_tensor(onnx_tensor: onnx.ValueInfoProto) -> Variable: ...
