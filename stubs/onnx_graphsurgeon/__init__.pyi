# What this project uses of onnx-graphsurgeon 0.6, which has no types of its own.

import onnx
from onnx_graphsurgeon.ir.graph import Graph as Graph
from onnx_graphsurgeon.ir.node import Node as Node
from onnx_graphsurgeon.ir.tensor import Constant as Constant
from onnx_graphsurgeon.ir.tensor import Tensor as Tensor
from onnx_graphsurgeon.ir.tensor import Variable as Variable

def import_onnx(onnx_model: onnx.ModelProto) -> Graph: ...
