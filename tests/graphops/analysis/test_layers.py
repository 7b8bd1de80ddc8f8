"""Layers by the module paths that PyTorch's exporters write."""

import onnx
import pytest
from artefacts import network

from onnxplain.graphops import forward, layers
from onnxplain.graphops.errors import UnknownLayer

# Four convolutions, of 3, 4, 5 and 6 channels.
CHAIN = """
<ir_version: 8, opset_import: ["": 17]>
chain (float[N, 2, H, W] x, float[3, 2, 1, 1] w1, float[4, 3, 1, 1] w2, float[5, 4, 1, 1] w3,
       float[6, 5, 1, 1] w4) => (float[N, 6, H, W] d)
{ a = Conv (x, w1)  b = Conv (a, w2)  c = Conv (b, w3)  d = Conv (c, w4) }
"""


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("/fc/Gemm", "fc"),
        ("/layer4/layer4.2/conv3/Conv", "layer4.2.conv3"),
        ("/net/layer3/layer3.0/downsample/downsample.0/Conv", "net.layer3.0.downsample.0"),
        ("/backbone/backbone.8/block/block.0/block.0.0/Conv", "backbone.8.block.0.0"),
        ("/classifier/classifier.0/convs.4/convs.4.1/Conv", "classifier.0.convs.4.1"),
        ("/Add", ""),
        ("Conv_12", ""),
    ],
)
def test_the_names_that_torchscript_gives_to_nodes(name, module):
    model = network(CHAIN)
    model.graph.node[2].name = name
    assert [found.module for found in layers(model)] == ["", "", "", module, ""]


def dynamo():
    """Return the chain as dynamo writes it: scopes in the metadata, a BatchNorm fused."""
    model = network(CHAIN)
    scopes = ["conv1", "layer1, layer1.0, layer1.0.bn1", "layer1, layer1.1", ""]
    for node, scope in zip(model.graph.node, scopes, strict=True):
        names = ["", *filter(None, scope.split(", ")), f"convolution_{node.output[0]}"]
        node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=str(names))
    model.graph.node[1].input[1] = "layer1.0.conv1.weight"
    model.graph.initializer[1].name = "layer1.0.conv1.weight"
    return model


def channels(model, layer):
    return forward(model, layer).graph.output[0].type.tensor_type.shape.dim[1].dim_value


def test_the_scopes_that_dynamo_gives_to_nodes():
    modules = [found.module for found in layers(dynamo())]
    assert modules == ["", "conv1", "layer1.0.bn1", "layer1.1", ""]


@pytest.mark.parametrize(
    ("module", "expected"),
    [("conv1", 3), ("layer1.0.bn1", 4), ("layer1.0", 4), ("layer1", 5), ("layer1.0.conv1", 4)],
)
def test_a_module_means_its_last_output(module, expected):
    """`layer1.0.conv1` is known by its weight alone: its node says that it is the BatchNorm."""
    assert channels(dynamo(), module) == expected


def test_half_a_name_is_no_module():
    for name in ("layer", "layer1.", "layer1.0.conv", "conv1.weight"):
        with pytest.raises(UnknownLayer):
            forward(dynamo(), name)


def test_scopes_that_are_none_are_nothing():
    for value in ("", "[]", "['']", "[__import__('os')]", "layer1"):
        model = network(CHAIN)
        model.graph.node[0].metadata_props.add(key="pkg.torch.onnx.name_scopes", value=value)
        assert all(found.module == "" for found in layers(model))
        onnx.checker.check_model(forward(model, "a"))
