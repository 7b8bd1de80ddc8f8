"""Networks as dynamo wrote them until PyTorch 2.5: modules and operators as functions.

Equal initialisers are stored once and handed on by Identity; what a node's module is, the call of
the function says.
"""

import onnx
import torch
from artefacts import network, weights
from exporters import Twin, check_layers, check_outputs, check_projections
from nets import in_sequence
from torch import nn

TEXT = """
<ir_version: 8, opset_import: ["": 18, "pkg.onnxscript.torch_lib": 1, "pkg.torch": 1,
    "pkg.onnxscript.torch_lib.common": 1], producer_name: "pytorch">
main_graph (
    float[s0, 3, s1, s2] x, float[6, 3, 3, 3] "conv1.weight", float[6] "conv1.bias",
    float[6, 6, 3, 3] "conv2.weight", float[5, 6] "fc.weight", float[5] "fc.bias"
) => (float[s0, 5] y)
{
    "conv3.weight" = Identity ("conv2.weight")
    "conv2.bias" = Identity ("conv1.bias")
    [node_1] convolution = pkg.onnxscript.torch_lib.aten_convolution <stride = [2, 2]>
        (x, "conv1.weight", "conv1.bias")
    [node_2] relu = pkg.onnxscript.torch_lib.aten_relu (convolution)
    [node_3] conv2 = pkg.torch.torch_nn_modules_conv_Conv2d_conv2_1
        (relu, "conv2.weight", "conv2.bias")
    [node_4] relu_1 = pkg.onnxscript.torch_lib.aten_relu (conv2)
    [node_5] convolution_2 = pkg.onnxscript.torch_lib.aten_convolution <stride = [1, 1]>
        (relu_1, "conv3.weight", "conv1.bias")
    [node_6] relu_2 = pkg.onnxscript.torch_lib.aten_relu (convolution_2)
    [node_7] mean = pkg.onnxscript.torch_lib.aten_mean_dim (relu_2)
    [node_8] y = pkg.onnxscript.torch_lib.aten_addmm ("fc.bias", mean, "fc.weight")
}

<opset_import: ["": 18], domain: "pkg.onnxscript.torch_lib">
aten_convolution <stride> (input, weight, bias) => (result)
{
    [n0] result = Conv <strides: ints = @stride, pads = [1, 1, 1, 1]> (input, weight, bias)
}

<opset_import: ["": 18], domain: "pkg.onnxscript.torch_lib">
aten_relu (self) => (result) { [n0] result = Relu (self) }

<opset_import: ["": 18, "pkg.onnxscript.torch_lib.common": 1],
 domain: "pkg.onnxscript.torch_lib">
aten_mean_dim (self) => (result)
{
    [n0] dims = Constant <value_ints = [2, 3]> ()
    [n1] isscalar = pkg.onnxscript.torch_lib.common.IsScalar (self)
    [n2] result = If (isscalar) <
        then_branch = scalar () => (result_0) { result_0 = Identity (self) },
        else_branch = mean () => (result_1)
        { result_1 = ReduceMean <keepdims = 0> (self, dims) }
    >
}

<opset_import: ["": 18], domain: "pkg.onnxscript.torch_lib.common">
IsScalar (input) => (return_val)
{
    [n0] shape = Shape (input)
    [n1] rank = Size (shape)
    [n2] zero = Constant <value_int = 0> ()
    [n3] return_val = Equal (rank, zero)
}

<opset_import: ["": 18], domain: "pkg.onnxscript.torch_lib">
aten_addmm (bias, mat1, weight) => (result)
{
    [n0] mat2 = Transpose <perm = [1, 0]> (weight)
    [n1] product = MatMul (mat1, mat2)
    [n2] result = Add (product, bias)
}

<opset_import: ["": 18, "pkg.onnxscript.torch_lib": 1], domain: "pkg.torch">
torch_nn_modules_conv_Conv2d_conv2_1 (input, weight, bias) => (convolution_1)
{
    [n0] convolution_1 = pkg.onnxscript.torch_lib.aten_convolution <stride = [2, 1]>
        (input, weight, bias)
}
"""
SCOPES = ["conv1", "relu1", "conv2", "relu2", "conv3", "relu3", "pool", "fc"]


def exported():
    model = network(TEXT)
    calls = [node for node in model.graph.node if node.op_type != "Identity"]
    for node, module in zip(calls, SCOPES, strict=True):
        node.metadata_props.add(
            key="pkg.torch.onnx.name_scopes", value=str(["", module, node.output[0]])
        )
    onnx.checker.check_model(model, full_check=True)
    return model


def twin(model):
    net = in_sequence(
        conv1=nn.Conv2d(3, 6, 3, 2, 1),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(6, 6, 3, (2, 1), 1),
        relu2=nn.ReLU(),
        conv3=nn.Conv2d(6, 6, 3, 1, 1),
        relu3=nn.ReLU(),
        pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        fc=nn.Linear(6, 5),
    )
    state = {name: torch.tensor(values) for name, values in weights(model).items()}
    state["conv3.weight"] = state["conv2.weight"]
    state["conv2.bias"] = state["conv3.bias"] = state["conv1.bias"]
    net.load_state_dict(state)
    return Twin(net, (33, 30))


def test_the_functions_are_one_graph():
    model = exported()
    both = twin(model)
    check_layers(model, both, SCOPES)
    check_projections(model, both, {"conv2": "conv2", "relu_1": "relu2", "fc": "fc", None: "fc"})
    check_outputs(model, "relu2", both)
