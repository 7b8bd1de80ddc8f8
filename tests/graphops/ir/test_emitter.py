"""What the emitter appends: names, modes that end with their block, second outputs."""

import numpy as np
import onnx
import pytest

from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import Emitter, rank_of, read, shape_of, write

POOLED = """
<ir_version: 8, opset_import: ["": 17]>
pooled (float16[N, 3, 8, 8] x, float[3, 1, 1] w) => (float[N, 3, 4, 4] y)
{
    p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)
    c = Cast <to = 1> (p)
    y = Mul (c, w)
}
"""


@pytest.fixture
def graph():
    return read(onnx.parser.parse_model(POOLED))


def test_a_scope_is_in_the_names_of_its_block_alone(graph):
    op = Emitter(graph)
    with op.scoped("outer"):
        with op.scoped("inner"):
            inner = op.Neg(graph.outputs[0])
        outer = op.Neg(inner)
    with pytest.raises(ValueError, match="stop"), op.scoped("broken"):
        raise ValueError("stop")
    names = [inner.name, outer.name, op.Neg(outer).name, op.Neg(outer).name]
    assert names == [
        "onnxplain/inner/Neg", "onnxplain/outer/Neg", "onnxplain/Neg", "onnxplain/Neg_2"
    ]  # fmt: skip


def test_collected_nodes_are_the_openers(graph):
    op, before = Emitter(graph), list(graph.nodes)
    with op.collecting() as nodes:
        op.Relu(op.Neg(graph.outputs[0]))
    assert [n.op for n in nodes] == ["Neg", "Relu"]
    assert graph.nodes == before
    op.Abs(graph.outputs[0])
    assert [n.op for n in graph.nodes[len(before) :]] == ["Abs"]


def test_residuals_have_a_row_for_each_result(graph):
    x, w = graph.inputs
    op = Emitter(graph, batched=["x", "p"])
    image = op.constant([0, 0], np.int64)
    assert op.residual(x) is x
    with op.picking(image):
        assert op.image_index(x) is image and op.image_index(w) is None
        picked = op.residual(x)
        assert picked.inputs[0].op == "Gather" and picked.shape == [2, 3, 8, 8]
        assert op.residual(x) is picked and op.residual(w) is w
        assert op.Neg(x).inputs[0].inputs[0] is picked
        assert op.signal_shape(x) == [2, 3, 8, 8] and op.signal_shape(w) == [3, 1, 1]
    assert op.residual(x) is x and op.signal_shape(x) == ["N", 3, 8, 8]


def test_half_precision_is_read_as_float32_where_that_is_wanted(graph):
    x, op, half = graph.inputs[0], Emitter(graph), onnx.TensorProto.FLOAT16
    assert op.wide(x) is x and op.signal_type(x) == half
    with op.in_float32():
        wide = op.wide(x)
        assert wide.inputs[0].op == "Cast" and wide.dtype == np.float32
        assert op.widened(x) is wide and op.widened(graph.outputs[0]) is graph.outputs[0]
        assert op.signal_type(x) == onnx.TensorProto.FLOAT
        with op.in_float32(False):  # an inner block does not narrow
            assert op.Neg(x).dtype == np.float32
        assert op.narrowed(wide, onnx.TensorProto.FLOAT) is wide
        assert op.narrowed(wide, half).dtype == np.float16
    assert op.Neg(x).dtype == np.float16


def test_a_second_output_is_added_once_and_picked_as_the_first(graph):
    (pool,) = [n for n in graph.nodes if n.op == "MaxPool"]
    op = Emitter(graph, batched=["x", "p"])
    indices = op.second_output(pool, "indices", np.int64)
    assert indices.name == "onnxplain/indices" and indices.shape == ["N", 3, 4, 4]
    assert op.second_output(pool, "indices", np.int64) is indices is pool.outputs[1]
    with op.picking(op.constant([0, 0], np.int64)):
        assert op.residual(indices) is not indices


def test_names_of_bodies_and_of_the_network_are_left_to_them(graph):
    op = Emitter(graph)
    assert op.claim("x", "mine") == "mine" and op.claim("x", "mine") == "onnxplain/mine"


def test_an_unknown_rank_names_the_tensor(graph):
    x = graph.inputs[0]
    assert rank_of(x) == 4 and shape_of(x) == ["N", 3, 8, 8]
    x.shape = None
    with pytest.raises(UnsupportedModel, match="rank of 'x' is not known"):
        rank_of(x)


def test_a_copied_graph_keeps_its_scopes_and_is_another(graph):
    graph.name_scopes["y"] = "['', 'scale', 'mul']"
    copy = graph.copy()
    assert copy.name_scopes == graph.name_scopes
    copy.nodes[0].name = "other"
    assert graph.nodes[0].name != "other"
    assert write(graph, onnx.parser.parse_model(POOLED)).graph.node[0].op_type == "MaxPool"
