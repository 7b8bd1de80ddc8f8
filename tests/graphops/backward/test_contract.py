"""The contract of the artefact: which inputs and outputs it has, and what they mean."""

import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from artefacts import CONVOLUTIONAL, DENSE, SMALL, artefact, images, network, run, value_of

from onnxplain.graphops import read_metadata
from onnxplain.graphops.errors import ChannelError, OptionError

REFUSED = (
    ort.capi.onnxruntime_pybind11_state.InvalidArgument,
    ort.capi.onnxruntime_pybind11_state.Fail,
)
SIZE = (12, 10)
X = images(3, SIZE)
IMAGES = ("float32", ("N", 3, "H", "W"))


def signature(values):
    found = {}
    for value in values:
        tensor = value.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        dims = (getattr(d, d.WhichOneof("value") or "", None) for d in tensor.shape.dim)
        found[value.name] = (str(dtype), tuple(dims))
    return found


@pytest.mark.parametrize("seed_value", ["one", "activation"])
@pytest.mark.parametrize("position", ["all", "max", "given"])
@pytest.mark.parametrize(
    ("options", "results", "rows", "chosen"),
    [
        ({"select": "channel"}, "N", 3, {"channel": [0, 4, 2]}),
        ({"select": "pairs"}, "B", 4, {"image_index": [2, 0, 2, 1], "channel": [0, 4, 2, 2]}),
        ({"select": "fixed", "channels": (2,)}, "N", 3, {}),
        ({"select": "fixed", "channels": (2, 0)}, "B", 6, {}),
    ],
    ids=["channel", "pairs", "fixed", "fixed-two"],
)
def test_inputs_and_outputs(options, results, rows, chosen, position, seed_value):
    made = artefact(network(SMALL), "r2", position=position, seed_value=seed_value, **options)
    inputs = {"x": IMAGES, **dict.fromkeys(chosen, ("int64", (results,)))}
    feeds = {"x": X, **{name: np.array(value) for name, value in chosen.items()}}
    outputs = {
        "y": ("float32", ("N", 4)),
        "attribution": ("float32", (results, 3, "H", "W")),
        "score": ("float32", (results,)),
    }
    if position == "given":
        inputs["position"] = ("int64", (results, 2))
        feeds["position"] = np.stack([np.arange(rows) % 4, np.arange(rows) % 3], 1)
    if position != "all":
        outputs["position"] = ("int64", (results, 2))
    assert list(signature(made.graph.input).items()) == list(inputs.items())
    assert list(signature(made.graph.output).items()) == list(outputs.items())
    sizes = {"N": 3, "B": rows, results: rows, "H": SIZE[0], "W": SIZE[1]}
    for name, value in run(made, **feeds).items():
        dtype, dims = outputs[name]
        assert (str(value.dtype), value.shape) == (dtype, tuple(sizes.get(d, d) for d in dims))


def test_inputs_and_outputs_of_a_given_cotangent():
    made = artefact(network(SMALL), "p1", select="seed")
    dtype, dims = signature(made.graph.input)["seed"]
    assert (dtype, len(dims), dims[:2]) == ("float32", 4, ("N", 6))
    assert list(signature(made.graph.input)) == ["x", "seed"]
    assert list(signature(made.graph.output)) == ["y", "attribution", "score"]
    assert signature(made.graph.output)["score"] == ("float32", ("N",))
    seed = images(3, (6, 5), 6, seed=1)
    weighted = seed * value_of(network(SMALL), "p1", x=X)
    np.testing.assert_allclose(
        run(made, x=X, seed=seed)["score"], weighted.sum((1, 2, 3)), rtol=1e-4, atol=1e-4
    )


def test_inputs_and_outputs_of_the_predicted_class():
    made = artefact(network(SMALL), None, select="predicted")
    assert signature(made.graph.input) == {"x": IMAGES}
    outputs = signature(made.graph.output)
    assert list(outputs) == ["y", "attribution", "score", "class", "probability"]
    assert outputs["class"] == ("int64", ("N",))
    assert outputs["probability"] == ("float32", ("N",))


@pytest.mark.parametrize("net", [SMALL, CONVOLUTIONAL, DENSE], ids=["small", "whole", "dense"])
def test_predicted_is_the_class_with_the_highest_score(net):
    x = 4 * images(8, SIZE) if net is not DENSE else images(8, (1, 3)).reshape(8, 9)
    y = run(network(net), x=x)["y"]
    winner = y.reshape(8, 4, -1).max(2).argmax(1)
    assert len(set(winner)) > 1, "winners that are all the same show little"
    found = run(artefact(network(net), select="predicted"), x=x)
    expected = run(artefact(network(net), select="channel"), x=x, channel=winner)
    np.testing.assert_array_equal(found["attribution"], expected["attribution"])
    np.testing.assert_array_equal(found["score"], expected["score"])


def test_predicted_needs_the_class_score():
    with pytest.raises(OptionError, match="class score"):
        artefact(network(SMALL), "r2", select="predicted")


@pytest.mark.parametrize("channel", [5, -6, 2**40])
@pytest.mark.parametrize("select", ["channel", "pairs"])
def test_a_channel_out_of_range_fails_when_run(channel, select):
    index = {"image_index": np.zeros(3, np.int64)} if select == "pairs" else {}
    made = artefact(network(SMALL), "r2", select=select)
    with pytest.raises(REFUSED):
        run(made, x=X, channel=np.array([0, channel, 0]), **index)


def test_an_image_out_of_range_fails_when_run():
    made = artefact(network(SMALL), "r2", select="pairs")
    with pytest.raises(REFUSED):
        run(made, x=X, channel=np.zeros(1, np.int64), image_index=np.array([3]))


@pytest.mark.parametrize("seed_value", ["one", "activation"])
@pytest.mark.parametrize("place", [[4, 0], [0, 3], [0, 7], [-5, 0]])
def test_a_position_out_of_range_fails_when_run(place, seed_value):
    made = artefact(network(SMALL), "r2", position="given", seed_value=seed_value)
    with pytest.raises(REFUSED):
        run(made, x=X[:1], channel=np.zeros(1, np.int64), position=np.array([place]))


@pytest.mark.parametrize("channel", [5, -6])
def test_a_baked_in_channel_out_of_range_is_refused(channel):
    with pytest.raises(ChannelError, match=f"channels 0 to 4, not {channel}"):
        artefact(network(SMALL), "r2", select="fixed", channels=(0, channel))


@pytest.mark.parametrize("layer", ["r2", "scores"])
def test_negative_channels_count_from_the_last(layer):
    made, last = artefact(network(SMALL), layer), {"r2": 4, "scores": 3}[layer]
    expected = run(made, x=X, channel=np.full(3, last))
    found = run(made, x=X, channel=np.full(3, -1))
    assert np.abs(expected["attribution"]).max() > 0
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    baked = run(artefact(network(SMALL), layer, select="fixed", channels=(-1,)), x=X)
    np.testing.assert_array_equal(baked["attribution"], expected["attribution"])


def test_names_that_the_network_has_already_give_way():
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    taken (float[N, 3, H, W] channel, float[4, 3, 3, 3] position, float[4, 4, 1, 1] seed)
        => (float[N, 4, h, w] score)
    { attribution = Conv (channel, position) r = Relu (attribution) score = Conv (r, seed) }
    """
    model = network(text, inputs=("channel",))
    made = artefact(model, "r", position="max")
    inputs, outputs = list(signature(made.graph.input)), list(signature(made.graph.output))
    assert inputs == ["channel", "onnxplain_channel"]
    assert outputs == ["score", "onnxplain_attribution", "onnxplain_score", "onnxplain_position"]
    taken = ("attribution", "channel", "position", "score")
    assert json.loads(read_metadata(made)["onnxplain.renamed"]) == {
        name: f"onnxplain_{name}" for name in taken
    }
    free = network(text.replace(" channel", " x").replace("(channel", "(x"))
    free = artefact(free, "r", select="seed")
    assert json.loads(read_metadata(free)["onnxplain.renamed"]) == {
        name: f"onnxplain_{name}" for name in ("attribution", "score", "seed")
    }
    found = run(made, channel=X, onnxplain_channel=np.array([0, 3, 1]))
    assert np.abs(found["onnxplain_attribution"]).max() > 0
    np.testing.assert_array_equal(found["score"], run(model, channel=X)["score"])
