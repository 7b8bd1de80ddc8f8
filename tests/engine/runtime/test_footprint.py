"""What a run takes in memory, against the sizes of the tensors that ONNX Runtime makes."""

import gc

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnxruntime as ort
import pytest
from artefacts import artefact
from engine.nets import classifier, pictures
from nets import export

from onnxplain.engine import Engine
from onnxplain.engine.runtime.footprint import OVERHEAD, Footprint
from onnxplain.graphops import Network

CHAIN = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 2, H, W] x) => (float[N, 2, H, W] y, float[N, 2, H, W] b)
{ a = Relu (x) b = Neg (a) c = Concat <axis = 1> (a, a) d = Relu (c)
  y, e = Split <axis = 1> (d) }
"""


def test_by_hand():
    """In pictures: x is one, a and b too, c and d are two, y is one; e is not used.

    x goes never, since it is the caller's, and b stays to the end. Most are alive when d is made of
    c: x, b, c and d, six pictures.
    """
    footprint = Footprint(onnx.parser.parse_model(CHAIN), "x")
    for height, width in ((5, 7), (10, 7)):
        picture = 2 * height * width * 4
        assert footprint.item_bytes((2, height, width)) == int(OVERHEAD * 6 * picture)
    assert footprint.max_batch((2, 5, 7), 1) == 1
    assert footprint.max_batch((2, 5, 7), 3 * footprint.item_bytes((2, 5, 7))) == 3


@pytest.mark.parametrize("unpool", ["auto", "scatter"])
@pytest.mark.parametrize("net", ["classifier", "inception", "resnet"])
def test_the_sizes_are_those_of_a_run(net, unpool):
    """Peak by peak: the tensors that ONNX Runtime makes, each for as long as it is needed."""
    model, layer = (classifier(), "r2") if net == "classifier" else (export(net), None)
    graph = artefact(model, layer, select="pairs", keep_outputs=False, unpool=unpool)
    x = np.random.default_rng(0).random((1, 3, 67, 59)).astype(np.float32)
    zero = np.zeros(1, np.int64)
    sizes = measured(graph, x=x, image_index=zero, channel=zero)
    peak = 0
    nodes = list(graph.graph.node)
    for i, node in enumerate(nodes):
        needed = {name for later in nodes[i + 1 :] for name in later.input}
        needed |= {v.name for v in graph.graph.output}
        made = {name for before in nodes[:i] for name in before.output}
        live = {n for n in made if n in needed} | set(node.input) & made | set(node.output)
        peak = max(peak, x.nbytes + sum(sizes.get(name, 0) for name in live))
    told = Footprint(graph, "x").item_bytes(x.shape[1:]) / OVERHEAD
    assert 0.99 * peak <= told <= 1.05 * peak


def measured(graph, **feeds):
    """Return the bytes of every tensor that the graph makes."""
    every = onnx.ModelProto()
    every.CopyFrom(graph)
    known = {v.name for v in every.graph.output}
    names = [name for node in every.graph.node for name in node.output if name]
    every.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in known
    )
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(every.SerializeToString(), options)
    return {
        name: np.asarray(value).nbytes
        for name, value in zip(names, session.run(names, feeds), strict=True)
    }


def test_samples_run_as_many_at_once_as_fit():
    model, graph = classifier(), artefact(classifier(), select="seed", keep_outputs=False)
    room = 4 * Footprint(graph, "x").item_bytes((3, 17, 15))
    seen = []
    Engine("cpu", threads=1, memory_bytes=room).explain(
        model, pictures(1), method="smoothgrad", samples=10, passes=lambda *p: seen.append(p)
    )
    assert seen == [(4, 10), (8, 10), (10, 10)]


def test_only_the_network_itself_is_left_of_the_rewriter_when_the_runs_begin():
    """Nodes and tensors hold each other in circles that only a collection opens."""

    def alive():
        return {id(o): type(o) for o in gc.get_objects() if type(o) in (gs.Constant, gs.Node)}

    gc.collect()
    before, left = alive(), []
    gc.disable()
    try:
        engine = Engine("cpu", threads=1)
        engine.explain(
            classifier(), pictures(1), method="integrated_gradients", steps=4, preprocess="unit",
            passes=lambda done, total: left.append(alive().items() - before.items()),
        )  # fmt: skip
    finally:
        gc.enable()
    kept = engine.open(classifier()).network.canonical().graph
    constants = [t for t in kept.tensors().values() if type(t) is gs.Constant]
    assert left
    for objects in left:
        types = [kind for _, kind in objects]
        assert types.count(gs.Node) == len(kept.nodes)
        assert types.count(gs.Constant) == len(constants)


def test_a_network_shares_its_weights_with_the_model():
    model = classifier()
    tensors = Network(model).canonical().graph.tensors()
    weights = [t for t in model.graph.initializer if len(t.dims) > 1]
    assert weights
    for weight in weights:
        weight.ClearField("raw_data")
        weight.float_data.extend([7.0] * int(np.prod(weight.dims)))
        assert (tensors[weight.name].values == 7).all()
