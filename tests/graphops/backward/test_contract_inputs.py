"""Networks of several inputs: which are demanded, and what is attributed to each."""

import json

import numpy as np
import onnx
import pytest
import torch
from artefacts import artefact, images, network, run
from exporters import export_by
from oracle import relative_error
from several_inputs import EXPORTERS, Metadata, Twins, gradients

from onnxplain.graphops import Options, check, forward, rewrite
from onnxplain.graphops.errors import OptionError

torch.set_num_threads(1)
NUMBERS = np.random.default_rng(3).standard_normal((2, 5)).astype(np.float32)
IMAGES = images(2, (12, 10))


@pytest.fixture(scope="module", params=EXPORTERS)
def metadata(request):
    net = Metadata().eval()
    given = (torch.from_numpy(IMAGES), torch.from_numpy(NUMBERS))
    return net, export_by(request.param, net, given, Metadata.names)


def test_all_inputs_at_once_are_what_autograd_says(metadata):
    net, model = metadata
    channel = np.array([1, 2])
    expected = gradients(net, (IMAGES, NUMBERS), lambda y: y[0, 1] + y[1, 2])
    found = run(artefact(model, to="all"), image=IMAGES, numbers=NUMBERS, channel=channel)
    assert list(found) == ["y", "attribution", "attribution.numbers", "score"]
    assert relative_error(found["attribution"], expected[0]) < 1e-5
    assert relative_error(found["attribution.numbers"], expected[1]) < 1e-5
    for to, gradient in zip(Metadata.names, expected, strict=True):
        one = run(artefact(model, to=to), image=IMAGES, numbers=NUMBERS, channel=channel)
        assert relative_error(one["attribution"], gradient) < 1e-5
    product = run(
        artefact(model, None, "input_x_gradient", to="all"),
        image=IMAGES, numbers=NUMBERS, channel=channel,
    )  # fmt: skip
    assert relative_error(product["attribution.numbers"], expected[1] * NUMBERS) < 1e-5


def test_pairs_of_one_image_have_the_further_input_of_that_image(metadata):
    net, model = metadata
    made = artefact(model, to="all", select="pairs", keep_outputs=False)
    index, channel = np.array([1, 0, 1]), np.array([0, 3, 2])
    found = run(made, image=IMAGES, numbers=NUMBERS, image_index=index, channel=channel)
    for row, (i, c) in enumerate(zip(index, channel, strict=True)):
        image, numbers = gradients(net, (IMAGES, NUMBERS), lambda y, i=i, c=c: y[i, c])
        assert relative_error(found["attribution"][row], image[i]) < 1e-5
        assert relative_error(found["attribution.numbers"][row], numbers[i]) < 1e-5


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_weights_shared_by_two_pictures(exporter):
    net, pair = Twins().eval(), (IMAGES, images(2, (12, 10), seed=5))
    model = export_by(exporter, net, tuple(map(torch.from_numpy, pair)), Twins.names)
    found = run(artefact(model, to="all"), left=pair[0], right=pair[1], channel=np.array([4, 0]))
    expected = gradients(net, pair, lambda y: y[0, 4] + y[1, 0])
    assert relative_error(found["attribution"], expected[0]) < 1e-5
    assert relative_error(found["attribution.right"], expected[1]) < 1e-5


def test_relevance_is_conserved_over_all_inputs_together():
    """A network without biases, whose inputs are added: LRP-0 sums to the score over both."""
    model = network(
        '<ir_version: 8, opset_import: ["": 17]> sum (float[N, 4] a, float[N, 6] b, '
        "float[4, 5] v, float[6, 5] w) => (float[N, 5] y) "
        "{ h = MatMul (a, v) k = MatMul (b, w) y = Add (h, k) }",
        inputs=("a", "b"),
    )
    rng = np.random.default_rng(0)
    feeds = {n: rng.standard_normal((3, s)).astype(np.float32) for n, s in (("a", 4), ("b", 6))}
    made = artefact(model, None, "lrp_epsilon", to="all", seed_value="activation")
    found = run(made, **feeds, channel=np.array([0, 4, 2]))
    total = found["attribution"].sum(1) + found["attribution.b"].sum(1)
    np.testing.assert_allclose(total, found["y"][np.arange(3), [0, 4, 2]], rtol=1e-4)
    np.testing.assert_allclose(found["completeness_error"], 0, atol=1e-4)
    alone = run(artefact(model, None, "lrp_epsilon", to="a"), **feeds, channel=np.zeros(3, int))
    assert np.abs(alone["completeness_error"]).min() > 1e-3  # the rest went to b


TWO = """
<ir_version: 8, opset_import: ["": 17]>
two (float[N, 2] score, float[N, 3, H, W] left, float[N, 3, H, W] right, float[4, 3, 3, 3] w)
    => (float[N, 4, H, W] y, float[N, 4, H, W] z)
{
    a = Conv <pads = [1, 1, 1, 1]> (left, w)
    y = Relu (a)
    b = Conv <pads = [1, 1, 1, 1]> (right, w)
    z = Relu (b)
    pair = Concat <axis = 1> (y, z)
    m = ReduceMean <axes = [2, 3], keepdims = 0> (pair)
    all = Concat <axis = 1> (m, score)
}
"""


def test_only_the_inputs_that_the_layer_depends_on_are_demanded():
    model = network(TWO, inputs=("score", "left", "right"))
    assert check(model, "z", "gradient").to == "right"
    for layer, names in (("z", ["right"]), ("y", ["left"]), ("pair", ["left", "right"])):
        assert [v.name for v in forward(model, layer).graph.input] == names
        made = rewrite(model, layer, "gradient", Options(keep_outputs=False, to="all"))
        assert [v.name for v in made.graph.input] == [*names, "channel"]
        onnx.checker.check_model(made, full_check=True)
    whole = rewrite(model, "z", "gradient")
    assert [v.name for v in whole.graph.input] == ["score", "left", "right", "channel"]


def test_names_that_the_network_uses_are_prefixed():
    model = network(TWO, inputs=("score", "left", "right"))
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["attribution.right" if name == "b" else name for name in names]
    made = artefact(model, "pair", to="all", keep_outputs=False)
    outputs = [o.name for o in made.graph.output]
    assert outputs == ["attribution", "onnxplain_attribution.right", "onnxplain_score"]
    renamed = json.loads({p.key: p.value for p in made.metadata_props}["onnxplain.renamed"])
    assert renamed["attribution.right"] == "onnxplain_attribution.right"


@pytest.mark.parametrize("method", ["smoothgrad", "integrated_gradients", "deeplift", "grad_cam"])
def test_methods_of_one_input_say_so(metadata, method):
    for refused in (rewrite, check):
        with pytest.raises(OptionError, match="one input at a time: name it by `to`"):
            if refused is rewrite:
                rewrite(metadata[1], None, method, Options(to="all"))
            else:
                check(metadata[1], None, method, to="all")
