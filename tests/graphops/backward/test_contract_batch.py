"""One artefact for any batch and any size, and several results from one run of the network."""

import numpy as np
import pytest
from artefacts import SMALL, artefact, images, network, run, session
from nets import FAMILIES, SIZE, export
from oracle import relative_error

from onnxplain.graphops import check
from onnxplain.graphops.errors import UnsupportedModel

SQUARE = (16, 16)

FLATTEN = """
<ir_version: 8, opset_import: ["": 17]>
flatten (float[N, 3, 16, 16] x, float[6, 3, 3, 3] w1, float[150, 5] w2) => (float[N, 5] y)
{
    c1 = Conv <strides = [2, 2]> (x, w1)
    r1 = Relu (c1)
    layer = MaxPool <kernel_shape = [3, 3], strides = [1, 1]> (r1)
    f = Flatten (layer)
    y = MatMul (f, w2)
}
"""
POOLS = """
<ir_version: 8, opset_import: ["": 17]>
pools (float[N, 3, H, W] x, float[6, 3, 3, 3] w1, float[5, 6, 1, 1] w2) => (float[N, 5, 1, 1] y)
{
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
    r1 = Relu (c1)
    p1 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r1)
    p2 = MaxPool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (p1)
    p3 = MaxPool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1> (p1)
    layer = Concat <axis = 1> (p2, p3)
    some = Add (p2, p3)
    more = Mul (some, some)
    c2 = Conv (more, w2)
    y = GlobalMaxPool (c2)
}
"""
GATE = """
<ir_version: 8, opset_import: ["": 17]>
gate (float[N, 3, H, W] x, float[6, 3, 3, 3] w1, float[6, 6, 1, 1] w2, float[5, 6, 3, 3] w3)
    => (float[N, 5] y)
{
    c1 = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (x, w1)
    r1 = Relu (c1)
    mean = GlobalAveragePool (r1)
    squeezed = Conv (mean, w2)
    weight = Sigmoid (squeezed)
    layer = Mul (r1, weight)
    c2 = Conv (layer, w3)
    r2 = Relu (c2)
    y = ReduceMean <axes = [2, 3], keepdims = 0> (r2)
}
"""
SOFTMAX = """
<ir_version: 8, opset_import: ["": 17]>
softmax (float[N, 3, H, W] x, float[6, 3, 3, 3] w1, float[5, 6, 3, 3] w2) => (float[N, 5] y)
{
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
    attention = Softmax <axis = 1> (c1)
    layer = Mul (attention, c1)
    c2 = Conv (layer, w2)
    means = GlobalAveragePool (c2)
    space = Constant <value_ints = [2, 3]> ()
    y = Squeeze (means, space)
}
"""
# Folds the channels into the batch and back: in between, axis 0 does not count the images.
WINDOWS = """
<ir_version: 8, opset_import: ["": 17]>
windows (float[N, 3, 16, 16] x, float[4, 3, 3, 3] w1, float[2, 1, 3, 3] w2, float[5, 8, 1, 1] w3)
    => (float[N, 5] y)
{
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
    r1 = Relu (c1)
    apart = Constant <value_ints = [-1, 1, 16, 16]> ()
    single = Reshape (r1, apart)
    c2 = Conv <pads = [1, 1, 1, 1]> (single, w2)
    p2 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c2)
    r2 = Relu (p2)
    together = Constant <value_ints = [-1, 8, 8, 8]> ()
    layer = Reshape (r2, together)
    c3 = Conv (layer, w3)
    means = GlobalAveragePool (c3)
    y = Flatten (means)
}
"""
NETS = {
    "flatten": FLATTEN, "pools": POOLS, "gate": GATE, "softmax": SOFTMAX, "windows": WINDOWS
}  # fmt: skip


@pytest.mark.parametrize("unpool", ["auto", "scatter", "portable"])
@pytest.mark.parametrize("method", ["gradient", "deconvnet", "guided_backprop"])
def test_one_artefact_for_every_batch_and_size(method, unpool):
    made = session(artefact(network(SMALL), "r2", method, unpool=unpool))
    for size in [(64, 64), (97, 83)]:
        x, channel = images(5, size), np.array([0, 1, 2, 3, 4])
        together = run(made, x=x, channel=channel)
        assert together["attribution"].shape == x.shape
        assert np.abs(together["attribution"]).max() > 0
        for i in range(5):
            single = run(made, x=x[i : i + 1], channel=channel[i : i + 1])
            equal(together, i, single)


@pytest.mark.parametrize("unpool", ["auto", "portable"])
@pytest.mark.parametrize(
    ("layer", "method", "start"),
    [
        ("y", "gradient", {}),
        ("layer", "guided_backprop", {"position": "max"}),
        ("layer", "deconvnet", {"position": "given", "seed_value": "one"}),
    ],
)
@pytest.mark.parametrize("net", NETS)
def test_pairs_equal_single_runs(net, layer, method, start, unpool):
    model, x = network(NETS[net]), images(3, SQUARE)
    single = session(artefact(model, layer, method, select="channel", unpool=unpool, **start))
    pairs = session(artefact(model, layer, method, select="pairs", unpool=unpool, **start))
    for count, image_index, channel in [
        (1, [0, 0, 0], [4, 0, 2]),  # one image, three units
        (3, [2, 0, 1], [1, 3, 3]),  # as many results as images, in another order
        (3, [1, 1, 0, 2, 1], [0, 4, -1, 3, 2]),
    ]:
        places = {}
        if start.get("position") == "given":
            places["position"] = np.array([[i % 3, (i + 1) % 3] for i in range(len(channel))])
        chosen = {"image_index": np.array(image_index), "channel": np.array(channel)}
        found = run(pairs, x=x[:count], **chosen, **places)
        assert np.abs(found["attribution"]).max() > 0
        for i, (image, unit) in enumerate(zip(image_index, channel, strict=True)):
            place = {name: value[i : i + 1] for name, value in places.items()}
            expected = run(single, x=x[image : image + 1], channel=np.array([unit]), **place)
            equal(found, i, expected)


@pytest.mark.parametrize("net", NETS)
def test_several_channels_baked_in_are_all_of_each_image(net):
    model, x = network(NETS[net]), images(3, SQUARE)
    single = session(artefact(model, "y", select="channel"))
    found = run(artefact(model, "y", select="fixed", channels=(4, 1)), x=x)
    results = [(image, channel) for image in range(3) for channel in (4, 1)]
    for i, (image, channel) in enumerate(results):
        expected = run(single, x=x[image : image + 1], channel=np.array([channel]))
        equal(found, i, expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_pairs_of_exported_nets(family):
    """Their Reshapes follow the batch by arithmetic on shapes, which the rows must not break."""
    model, x = export(family), images(2, SIZE)
    assert check(model).batch == "free"
    single, pairs = (session(artefact(model, select=select)) for select in ("channel", "pairs"))
    image_index, channel = np.array([1, 0, 1]), np.array([6, 2, 3])
    found = run(pairs, x=x, image_index=image_index, channel=channel)
    for i, image in enumerate(image_index):
        equal(found, i, run(single, x=x[image : image + 1], channel=channel[i : i + 1]))


@pytest.mark.parametrize("net", ["flatten", "gate", "softmax"])
def test_pairs_run_the_network_once(net):
    model = network(NETS[net])
    made = artefact(model, "y", select="pairs", lowering="plain")  # fast adds a Conv per gate
    for operator in ("Conv", "MaxPool", "Softmax", "Sigmoid"):
        counts = [sum(n.op_type == operator for n in m.graph.node) for m in (model, made)]
        assert counts[0] == counts[1], operator


BAKED = FLATTEN.replace(
    "f = Flatten (layer)", "shape = Constant <value_ints = [1, 150]> () f = Reshape (layer, shape)"
)


@pytest.mark.parametrize(
    ("text", "dynamic"),
    [(FLATTEN, FLATTEN), (BAKED, FLATTEN), (POOLS, POOLS), (GATE, GATE), (SOFTMAX, SOFTMAX)],
    ids=["flatten", "baked-into-a-reshape", "pools", "gate", "softmax"],
)
def test_a_batch_fixed_at_one_is_freed(text, dynamic):
    model = network(text.replace("[N, ", "[1, ").replace("H, W", "16, 16"))
    assert check(model, "y").batch == "freed"
    x, channel = images(3, SQUARE), np.arange(3)
    for select, rows in [("channel", {}), ("pairs", {"image_index": np.array([2, 0, 1])})]:
        freed = run(artefact(model, "y", select=select), x=x, channel=channel, **rows)
        free = artefact(network(dynamic), "y", select=select)
        expected = run(free, x=x, channel=channel, **rows)
        assert relative_error(freed["attribution"], expected["attribution"]) < 1e-6


MIXING = (
    WINDOWS.replace("[N, ", "[1, ").replace("[-1, 1, 16", "[4, 1, 16").replace("[-1, 8", "[1, 8")
)


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        (FLATTEN.replace("[N, ", "[2, "), {}, "'x' has the batch size 2"),
        (FLATTEN.replace("[N, ", "[1, "), {"keep_shape": True}, "asked to keep its shape"),
        (MIXING, {}, "Reshape 'single' mixes the batch"),
    ],
    ids=["two", "kept", "mixing"],
)
def test_a_fixed_batch_runs_one_result_for_each_image_and_refuses_more(text, options, why):
    model = network(text)
    count = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    report = check(model, "y", **options)
    assert report.batch == "fixed" and why in report.batch_note
    x, channel = images(count, SQUARE), np.arange(count)
    found = run(artefact(model, "y", **options), x=x, channel=channel)
    free = network(WINDOWS if text is MIXING else FLATTEN)
    expected = run(artefact(free, "y"), x=x, channel=channel)
    assert relative_error(found["attribution"], expected["attribution"]) < 1e-6
    for several in ({"select": "pairs"}, {"select": "fixed", "channels": (0, 1)}):
        with pytest.raises(UnsupportedModel, match="several results of one run") as refusal:
            artefact(model, "y", **several, **options)
        assert why in str(refusal.value)


@pytest.mark.parametrize("select", ["channel", "pairs"])
@pytest.mark.parametrize("method", ["gradient", "deconvnet", "guided_backprop"])
@pytest.mark.parametrize("net", ["flatten", "pools", "gate", "softmax"])
def test_half_precision(net, method, select):
    half = network(NETS[net].replace("float[", "float16["))
    x = images(3, SQUARE)
    rows = {"image_index": np.array([2, 0, 1])} if select == "pairs" else {}
    layer = "y" if net != "pools" else "p1"
    feeds = {"channel": np.array([0, 3, 1]), **rows}
    found = run(artefact(half, layer, method, select=select), x=x.astype(np.float16), **feeds)
    expected = run(artefact(network(NETS[net]), layer, method, select=select), x=x, **feeds)
    assert found["attribution"].dtype == np.float16
    assert found["score"].dtype == np.float32, "an activity squared is soon beyond half precision"
    assert relative_error(found["attribution"], expected["attribution"]) < 0.05
    assert relative_error(found["score"], expected["score"]) < 0.01


def equal(found, row, single):
    """Compare one row of a result with a run of its own; only the order of sums may differ."""
    assert found.keys() == single.keys()
    for name in found.keys() & {"score", "attribution"}:
        expected = single[name][0]
        spread = 1e-6 + 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(found[name][row], expected, rtol=0, atol=spread)
    if "position" in found:
        np.testing.assert_array_equal(found["position"][row], single["position"][0])
