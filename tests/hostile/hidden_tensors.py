"""Where a tensor whose values lie in another file can hide in a model."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["HIDING_PLACES", "WEIGHT", "network", "outside"]

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


def network(weight=None, opset=17):
    """Return y = x·w."""
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": {opset}]> '
        "net (float[N, 2] x) => (float[N, 3] y) { y = MatMul (x, w) }"
    )
    model.graph.initializer.append(weight or numpy_helper.from_array(WEIGHT, "w"))
    return model


def outside(location, name="w", dims=(2, 3)):
    """Return a tensor whose values lie in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def in_an_initializer(tensor):
    return network(tensor)


def in_a_constant(tensor):
    model = network()
    model.graph.node.insert(0, helper.make_node("Constant", [], ["hidden"], value=tensor))
    return model


def in_a_constant_of_shape(tensor):
    tensor.dims[:] = [1]
    model = network()
    model.graph.initializer.append(numpy_helper.from_array(np.array([2]), "shape"))
    model.graph.node.append(
        helper.make_node("ConstantOfShape", ["shape"], ["hidden"], value=tensor)
    )
    return model


def branch(tensor=None, node=None):
    outputs = [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, [2, 3])]
    return helper.make_graph(
        [node or helper.make_node("Identity", ["inner"], ["hidden"])],
        "branch",
        [],
        outputs,
        [tensor] if tensor is not None else [],
    )


def with_branch(graph):
    model = network()
    model.graph.input.append(helper.make_tensor_value_info("go", TensorProto.BOOL, []))
    model.graph.node.append(
        helper.make_node("If", ["go"], ["chosen"], then_branch=graph, else_branch=graph)
    )
    return model


def in_a_branch(tensor):
    tensor.name = "inner"
    return with_branch(branch(tensor))


def in_a_constant_of_a_branch(tensor):
    return with_branch(branch(node=helper.make_node("Constant", [], ["hidden"], value=tensor)))


def in_a_branch_of_a_branch(tensor):
    tensor.name = "inner"
    inner = branch(tensor)
    nested = helper.make_node("If", ["go"], ["hidden"], then_branch=inner, else_branch=inner)
    return with_branch(branch(node=nested))


def in_a_function(tensor):
    model = network()
    body = [
        helper.make_node("Constant", [], ["inner"], value=tensor),
        helper.make_node("Add", ["a", "inner"], ["b"]),
    ]
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("local", "F", ["a"], ["b"], body, opsets))
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.graph.node.append(helper.make_node("F", ["y"], ["z"], domain="local"))
    return model


def in_the_default_of_a_functions_attribute(tensor):
    model = in_a_function(numpy_helper.from_array(WEIGHT))
    model.functions[0].attribute_proto.append(helper.make_attribute("hidden", tensor))
    return model


def sparse(values):
    values.dims[:] = [2]
    indices = numpy_helper.from_array(np.array([0, 4]), "places")
    return helper.make_sparse_tensor(values, indices, [2, 3])


def in_a_sparse_initializer(tensor):
    tensor.name = "hidden"
    model = network()
    model.graph.sparse_initializer.append(sparse(tensor))
    return model


def in_the_indices_of_a_sparse_initializer(tensor):
    tensor.data_type, tensor.dims[:] = TensorProto.INT64, [2]
    model = network()
    values = numpy_helper.from_array(np.ones(2, np.float32), "hidden")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, tensor, [2, 3]))
    return model


def in_a_sparse_constant(tensor):
    model = network()
    model.graph.node.append(
        helper.make_node("Constant", [], ["hidden"], sparse_value=sparse(tensor))
    )
    return model


def in_a_list_of_tensors(tensor):
    model = network()
    attribute = onnx.AttributeProto(name="hidden", type=onnx.AttributeProto.TENSORS)
    attribute.tensors.append(tensor)
    model.graph.node[0].attribute.append(attribute)
    return model


def in_the_training_part(tensor):
    model = network()
    model.training_info.add().initialization.CopyFrom(branch(tensor))
    return model


HIDING_PLACES = [
    in_an_initializer,
    in_a_constant,
    in_a_constant_of_shape,
    in_a_branch,
    in_a_constant_of_a_branch,
    in_a_branch_of_a_branch,
    in_a_function,
    in_the_default_of_a_functions_attribute,
    in_a_sparse_initializer,
    in_the_indices_of_a_sparse_initializer,
    in_a_sparse_constant,
    in_a_list_of_tensors,
    in_the_training_part,
]
