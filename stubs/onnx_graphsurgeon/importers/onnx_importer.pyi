import onnx
from onnx_graphsurgeon.ir.tensor import Variable

class OnnxImporter:
    @staticmethod
    def import_tensor(onnx_tensor: onnx.ValueInfoProto) -> Variable: ...
