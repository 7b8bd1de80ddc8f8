"""The artefact as a file: what it keeps of its source, what it adds, and how little that is."""

import hashlib
import json
from collections import Counter

import numpy as np
import onnx
import pytest
from artefacts import RECTIFIED, SMALL, artefact, images, network, run
from nets import FAMILIES, SIZE, export

from onnxplain.graphops import read_metadata

X = images(3, (12, 10))


@pytest.mark.parametrize("method", RECTIFIED)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_networks_own_outputs_stay_bit_identical(family, method):
    model, x = export(family), images(2, SIZE)
    made = artefact(model, FAMILIES[family].middle, method)
    found = run(made, optimized=False, x=x, channel=np.zeros(2, np.int64))["y"]
    np.testing.assert_array_equal(found, run(model, optimized=False, x=x)["y"])


def test_outputs_not_kept_are_not_computed():
    whole = artefact(network(SMALL), "r2")
    cut = artefact(network(SMALL), "r2", keep_outputs=False)
    assert [o.name for o in cut.graph.output] == ["attribution", "score"]
    assert "Softmax" in operators(whole) and "Softmax" not in operators(cut)
    assert "w3" not in {t.name for t in cut.graph.initializer}
    channel = np.array([0, 4, 2])
    expected, found = run(whole, x=X, channel=channel), run(cut, x=X, channel=channel)
    np.testing.assert_array_equal(found["attribution"], expected["attribution"])


def test_what_the_source_says_about_itself_is_kept():
    model = network(SMALL)
    model.producer_name, model.producer_version = "a trainer", "1.2"
    model.domain, model.model_version, model.doc_string = "org.example", 7, "a small net"
    onnx.helper.set_model_props(model, {"labels": "cat,dog"})
    model.graph.doc_string = "the graph"
    model.graph.metadata_props.add(key="trained", value="yes")
    node, image = model.graph.node[0], model.graph.input[0]
    node.name, node.doc_string = "first", "the first layer"
    node.metadata_props.add(key="source", value="stem")
    image.doc_string, image.type.denotation = "pictures", "IMAGE"
    image.type.tensor_type.shape.dim[1].denotation = "DATA_CHANNEL"
    before = model.SerializeToString()

    made = artefact(model, "r2")
    for name in ("producer_name", "producer_version", "domain", "model_version", "doc_string"):
        assert getattr(made, name) == getattr(model, name), name
    assert made.graph.doc_string == "the graph"
    assert read_metadata(made)["labels"] == "cat,dog"
    assert made.graph.metadata_props == model.graph.metadata_props
    (kept,) = (n for n in made.graph.node if n.name == "first")
    assert kept.doc_string == "the first layer" and kept.metadata_props == node.metadata_props
    assert made.graph.input[0] == image
    assert model.SerializeToString() == before, "the source itself was changed"


def test_what_the_artefact_says_about_itself():
    model = network(SMALL)
    onnx.helper.set_model_props(model, {"onnxplain.method": "an older one"})
    made = artefact(model, "p1", "guided_backprop", select="fixed", channels=(3,), unpool="scatter")
    said = read_metadata(made)
    assert said["onnxplain.method"] == "guided_backprop"
    assert said["onnxplain.layer"] == "p1" and said["onnxplain.to"] == "x"
    assert json.loads(said["onnxplain.renamed"]) == {}
    options = json.loads(said["onnxplain.options"])
    chosen = {"select": "fixed", "channels": [3], "unpool": "scatter"}
    assert chosen.items() <= options.items()
    assert (options["position"], options["seed_value"]) == ("all", "one")
    assert said["onnxplain.version"]
    source = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
    assert said["onnxplain.source_sha256"] == source


@pytest.mark.parametrize(("opset", "lowest"), [(13, 8), (17, 8), (19, 9), (21, 10), (23, 11)])
def test_the_lowest_ir_version_that_the_opset_allows(opset, lowest):
    """Opsets below 17 become 17, newer ones stay; the IR versions are those of ONNX's table."""
    model = network(
        SMALL.replace(": 17]", f": {opset}]").replace("ir_version: 8", "ir_version: 13")
    )
    made = artefact(model, "r2")
    assert [(o.domain, o.version) for o in made.opset_import] == [("", max(opset, 17))]
    assert made.ir_version == lowest


def test_foreign_imports_stay_only_where_a_node_uses_them():
    model = network(SMALL)
    model.opset_import.add(domain="ai.onnx.ml", version=3)
    model.opset_import.add(domain="com.example", version=1)
    model.graph.node.add(
        op_type="Binarizer", domain="ai.onnx.ml", input=["y"], output=["sure"], name="sure"
    )
    model.graph.output.add().CopyFrom(
        onnx.helper.make_tensor_value_info("sure", onnx.TensorProto.FLOAT, ["N", 4])
    )
    made = artefact(model, "r2")
    assert {o.domain: o.version for o in made.opset_import} == {"": 17, "ai.onnx.ml": 3}
    cut = artefact(model, "r2", keep_outputs=False)
    assert {o.domain: o.version for o in cut.opset_import} == {"": 17}


def test_maxunpool_is_fed_by_the_indices_of_the_forward_pool():
    for family in ("vgg", "resnet"):
        made = artefact(export(family), unpool="maxunpool")
        made_by = {name: node for node in made.graph.node for name in node.output}
        unpools = [n for n in made.graph.node if n.op_type == "MaxUnpool"]
        pools = [n for n in made.graph.node if n.op_type == "MaxPool"]
        assert len(unpools) == len(pools) > 0
        fed_by = []
        for node in unpools:
            indices = node.input[1]
            while made_by[indices].op_type == "Reshape":
                indices = made_by[indices].input[0]
            assert made_by[indices].op_type == "MaxPool"
            assert indices == made_by[indices].output[1]
            fed_by.append(indices)
        assert len(set(fed_by)) == len(pools)


@pytest.mark.parametrize("method", RECTIFIED)
def test_a_net_of_the_size_of_resnet_50_grows_by_nodes_alone(method):
    model = resnet50()
    assert sum(n.op_type == "Conv" for n in model.graph.node) == 53
    made = artefact(model, None, method)
    before, after = model.ByteSize(), made.ByteSize()
    assert before > 100_000_000
    assert after < 1.01 * before
    names = [t.name for t in made.graph.initializer]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("method", RECTIFIED)
def test_each_convolution_is_passed_back_with_its_own_weights(method):
    model = resnet50()
    made = artefact(model, None, method, lowering="plain")
    weights = Counter(n.input[1] for n in model.graph.node if n.op_type == "Conv")
    backward = Counter(n.input[1] for n in made.graph.node if n.op_type == "ConvTranspose")
    assert backward == weights
    assert weights.keys() <= {t.name for t in made.graph.initializer}


def operators(model):
    return {node.op_type for node in model.graph.node}


def resnet50():
    """Return the topology of ResNet-50 (He et al. 2015), BatchNorm folded, all weights zero."""
    nodes, tensors = [], []

    def weight(name, *shape):
        zeros = np.zeros(shape, np.float32)
        tensors.append(onnx.numpy_helper.from_array(zeros, name))
        return name

    def layer(operator, name, *inputs, **attributes):
        nodes.append(
            onnx.helper.make_node(operator, inputs, [name], name=f"{name}/node", **attributes)
        )
        return name

    def conv(name, x, channels, out, kernel, stride=1):
        pads, strides = [kernel // 2] * 4, [stride] * 2
        w, b = weight(f"{name}.w", out, channels, kernel, kernel), weight(f"{name}.b", out)
        return layer("Conv", name, x, w, b, pads=pads, strides=strides)

    def bottleneck(name, x, channels, width, stride):
        out, shortcut = 4 * width, x
        y = layer("Relu", f"{name}.relu1", conv(f"{name}.conv1", x, channels, width, 1))
        y = layer("Relu", f"{name}.relu2", conv(f"{name}.conv2", y, width, width, 3, stride))
        y = conv(f"{name}.conv3", y, width, out, 1)
        if channels != out:
            shortcut = conv(f"{name}.down", x, channels, out, 1, stride)
        return layer("Relu", name, layer("Add", f"{name}.add", y, shortcut))

    x = layer("Relu", "stem", conv("stem.conv", "x", 3, 64, 7, 2))
    x = layer("MaxPool", "pool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for stage, (count, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], start=1):
        for block in range(count):
            stride = 2 if stage > 1 and block == 0 else 1
            x = bottleneck(f"layer{stage}.{block}", x, channels, width, stride)
            channels = 4 * width
    x = layer("Flatten", "flat", layer("GlobalAveragePool", "mean", x))
    layer("Gemm", "y", x, weight("fc.w", 1000, channels), weight("fc.b", 1000), transB=1)
    ends = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", ["N", 3, "H", "W"]), ("y", ["N", 1000]))
    )
    graph = onnx.helper.make_graph(nodes, "resnet50", [next(ends)], [next(ends)], tensors)
    opset = onnx.helper.make_opsetid("", 17)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)
