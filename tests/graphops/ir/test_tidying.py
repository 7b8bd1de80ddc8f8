"""What ONNX's checker refuses and ONNX Runtime loads: the explanation is that of the tidy model."""

import numpy as np
import onnx
import pytest
from artefacts import network, run
from onnx import TensorProto, helper

from onnxplain.graphops import Network, Options, check, layers, load, rewrite
from onnxplain.graphops.errors import CorruptModel

HEAD = '<ir_version: 8, opset_import: ["": 17, "ai.onnx.ml": 3, "my.plugins": 1]>'
PLAIN = """
g (float[N, 3, 8, 8] x, float[4, 3, 3, 3] w) => (float[N, 4] p)
{
    c = Conv <pads = [1, 1, 1, 1]> (x, w)
    r = Relu (c)
    m = GlobalAveragePool (r)
    s = Flatten (m)
    p = Softmax (s)
TAIL}
"""
IMAGES = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)


def plain(tail=""):
    return network(HEAD + PLAIN.replace("TAIL", tail))


def nameless(model):
    model.graph.name = ""


def unsorted(model):
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def without_type(model):
    model.graph.output[0].ClearField("type")


def without_shape(model):
    model.graph.output[0].type.tensor_type.ClearField("shape")


def without_input_shape(model):
    model.graph.input[0].type.tensor_type.ClearField("shape")


def body_unsorted_and_nameless(model):
    """An If whose branch reads the graph around it."""
    model.graph.node.pop()
    body = helper.make_graph(
        [helper.make_node("Neg", ["a"], ["q"]), helper.make_node("Neg", ["s"], ["a"])],
        "",
        [],
        [helper.make_tensor_value_info("q", TensorProto.FLOAT, ["N", 4])],
    )
    model.graph.node.append(
        helper.make_node("If", ["b"], ["p"], then_branch=body, else_branch=body)
    )
    model.graph.input.append(helper.make_tensor_value_info("b", TensorProto.BOOL, []))


UNTIDY = (nameless, unsorted, without_type, without_shape, without_input_shape)


@pytest.mark.parametrize("spoil", UNTIDY)
def test_an_untidy_model_is_explained_as_the_tidy_one(spoil, tmp_path):
    expected = run(rewrite(plain(), "s"), x=IMAGES, channel=np.array([1, 3]))
    model = plain()
    spoil(model)
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(onnx.checker.ValidationError):
        onnx.checker.check_model(tmp_path / "net.onnx")
    opened = Network(tmp_path / "net.onnx")
    assert check(opened, "s").ok
    made = rewrite(opened, "s")
    onnx.checker.check_model(made, full_check=True)
    found = run(made, x=IMAGES, channel=np.array([1, 3]))
    np.testing.assert_array_equal(found["attribution"], expected["attribution"])
    np.testing.assert_array_equal(found["p"], expected["p"])


def test_bodies_are_tidied_too(tmp_path):
    model = plain()
    body_unsorted_and_nameless(model)
    onnx.save(model, tmp_path / "net.onnx")
    made = rewrite(tmp_path / "net.onnx", "s")
    onnx.checker.check_model(made, full_check=True)
    feeds = {"x": IMAGES, "channel": np.array([1, 3]), "b": np.array(True)}
    found, expected = run(made, **feeds), run(rewrite(plain(), "s"), x=IMAGES, channel=[1, 3])
    np.testing.assert_array_equal(found["attribution"], expected["attribution"])


def test_a_cycle_stays_invalid(tmp_path):
    model = plain()
    model.graph.node.extend(plain_nodes("q = Add (z, p) z = Neg (q)"))
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(CorruptModel, match="topologically sorted"):
        load(tmp_path / "net.onnx")


def kind(name, text):
    """Return a value of a type that is no tensor, by the field of TypeProto."""
    value = onnx.ValueInfoProto(name=name)
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    if text == "sequence of maps":
        inner = helper.make_map_type_proto(TensorProto.INT64, tensor)
        value.type.CopyFrom(helper.make_sequence_type_proto(inner))
    elif text == "sequence":
        value.type.CopyFrom(helper.make_sequence_type_proto(tensor))
    else:
        value.type.CopyFrom(helper.make_optional_type_proto(tensor))
    return value


OTHERS = {
    "sequence": "z = SplitToSequence <axis = 1> (s)",
    "sequence of maps": "z = ai.onnx.ml.ZipMap <classlabels_int64s = [0, 1, 2, 3]> (p)",
    "optional": "z = Optional (s)",
}


@pytest.mark.parametrize("other", OTHERS)
def test_an_output_that_is_no_tensor(other, tmp_path):
    model = plain()
    model.graph.node.extend(plain_nodes(OTHERS[other]))
    model.graph.output.append(kind("z", other))
    onnx.save(model, tmp_path / "net.onnx")
    opened = Network(tmp_path / "net.onnx")
    assert "z" not in {layer.tensor for layer in layers(opened)}
    made = rewrite(opened, "s")
    onnx.checker.check_model(made, full_check=True)
    assert [o.name for o in made.graph.output][:2] == ["p", "z"]
    kinds = [m.graph.output[1].type.WhichOneof("value") for m in (made, model)]
    assert kinds[0] == kinds[1]
    expected = run(rewrite(plain(), "s"), x=IMAGES, channel=np.array([1, 3]))
    found = run(made, x=IMAGES, channel=np.array([1, 3]))
    np.testing.assert_array_equal(found["attribution"], expected["attribution"])


@pytest.mark.parametrize("declared", [True, False])
def test_a_plug_in_operator_behind_the_layer(declared, tmp_path):
    """No runtime here has it; without the outputs it is not needed."""
    model = plain()
    model.graph.node.extend(plain_nodes("z = my.plugins.Decode <k = 3> (r)"))
    value = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["k", 6])
    model.graph.output.append(value if declared else onnx.ValueInfoProto(name="z"))
    onnx.save(model, tmp_path / "net.onnx")
    opened = Network(tmp_path / "net.onnx")
    made = rewrite(opened, "s")
    assert [o.name for o in made.graph.output][:2] == ["p", "z"]
    alone = rewrite(opened, "s", options=Options(keep_outputs=False))
    onnx.checker.check_model(alone, full_check=True)
    assert {o.domain for o in alone.opset_import} == {""}
    expected = run(rewrite(plain(), "s"), x=IMAGES, channel=np.array([1, 3]))
    found = run(alone, x=IMAGES, channel=np.array([1, 3]))
    np.testing.assert_array_equal(found["attribution"], expected["attribution"])


def plain_nodes(text):
    """Return the nodes that an ONNX text says."""
    model = onnx.parser.parse_model(
        f"{HEAD} g (float s, float p, float r) => (float z) {{ {text} }}"
    )
    return list(model.graph.node)
