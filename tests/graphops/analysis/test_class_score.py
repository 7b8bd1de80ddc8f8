"""The class score: the tensor explained where no layer is named, by PyTorch's own scores."""

import numpy as np
import pytest
import torch
from artefacts import artefact, images, network, run
from heads import ENDS, Heads
from nets import to_onnx
from oracle import relative_error

from onnxplain.graphops import Network, Options, check, layers, rewrite
from onnxplain.graphops.errors import UnsupportedModel

FIXED = {  # the batch of 1 is dropped
    "squeezed", "scores squeezed", "scores squeezed, argmax", "scores squeezed, softmax",
    "first image, softmax",
}  # fmt: skip
KINDS = [kind for kind, (_, scores) in ENDS.items() if scores is not None]
QUANTITIES = {
    "log softmax": "log probability", "scores": "score", "features first": "score",
    "argmax": "score", "scores squeezed": "score", "detr": "score", "regression": "value",
    "regression of rank 1": "value", "segmentation": "score", "segmentation, labels": "score",
    "best per level": "score", "scores squeezed, argmax": "score",
    "scores over a threshold": "score", "depth": "value",
}  # fmt: skip
ROWS = {
    "yolo": (4, 1),
    "pose": (4, 1),
    "yolo, boxes last": (4, 2),
    "without background": (-1, 1),
    "flat maps": (4, 2),
}
CLASSES_LAST = {"best per level", "ssd", "detr", "softmax per level"}
SINGLE = {"pose", "binary", "depth", "mask", "regression", "regression of rank 1"}


def exported(kind):
    net = Heads(kind).eval()
    count = 1 if kind in FIXED else 2
    return net, to_onnx(net, torch.zeros(count, 3, 24, 20), None if kind in FIXED else {0: "N"})


@pytest.mark.parametrize("kind", KINDS)
def test_the_explained_scores_are_those_of_pytorch(kind):
    """The default gradient is that of the strongest class, at its strongest position."""
    net, model = exported(kind)
    x = images(1 if kind in FIXED else 2, (24, 20))
    exact_x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    scores = net.double().scores(exact_x)
    scores = scores[:, None] if scores.ndim == 1 else scores
    by_class = scores.transpose(1, -1) if kind in CLASSES_LAST else scores
    best = by_class.flatten(2).max(2).values if by_class.ndim > 2 else by_class
    (exact,) = torch.autograd.grad(best.max(1).values.sum(), exact_x)
    found = run(artefact(model, select="predicted"), x=x)
    assert relative_error(found["score"], best.max(1).values.detach()) < 1e-5
    assert relative_error(found["attribution"], exact) < 1e-4
    assert ("position" in found) == (by_class.ndim > 2)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_known_of_it(kind):
    _, model = exported(kind)
    score = Network(model).class_score
    assert score.quantity == QUANTITIES.get(kind, "probability")
    assert score.units == (1 if kind in SINGLE else 5)
    assert (score.row, score.row_axis) == ROWS.get(kind, (None, None))
    assert len(score.others) == {"features first": 1, "ssd": 1, "detr": 1, "topk": 0}.get(kind, 0)
    assert score.axis == (None if "rank 1" in kind else 2 if kind in CLASSES_LAST else 1)
    (layer,) = [one for one in layers(model) if "class score" in one.marks]
    assert layer.channels == score.units
    assert layer.channel_axis == score.axis
    assert (layer.output, layer.output_offset) == (score.output, score.row)


def test_what_was_taken_is_told_where_there_is_a_choice():
    """By `check`, whose warnings the engine and the command line repeat."""
    warned = {kind: check(exported(kind)[1], method="gradient") for kind in ("softmax", "ssd")}
    assert warned["softmax"].warnings == warned["softmax"].other_outputs == ()
    (note,) = warned["ssd"].warnings
    assert "the other output is 'y'" in note
    assert warned["ssd"].other_outputs == ("y",)
    (note,) = check(exported("yolo")[1], method="gradient").warnings
    assert note.endswith("is a part of the output 'y': channel k = output row 4 + k")
    (note,) = check(exported("without background")[1]).warnings
    assert note.endswith("channel k = output row k - 1")
    (note,) = check(exported("softmax per level")[1], method="gradient").warnings
    assert "holds probabilities" in note


def test_classes_that_no_single_tensor_holds_are_refused_with_the_tensors_names():
    _, model = exported("boxes and classes per level")
    with pytest.raises(UnsupportedModel, match="joins the class scores of 2 tensors") as raised:
        rewrite(model, method="gradient")
    named = [one for one in layers(model) if f"'{one.tensor}'" in str(raised.value)]
    assert [one.operator for one in named] == ["Conv", "Conv", "Concat"]  # and the output
    artefact(model, named[0].tensor)


SUPPRESSED = """
<ir_version: 8, opset_import: ["": 17]>
net (float[1, 3, 16, 16] x, float[9, 3, 8, 8] w) => (float[K, 1] scores, int64[K, 3] boxes)
{
    cut = Constant <value_ints = [4, 5]> ()
    flat = Constant <value_ints = [0, 9, -1]> ()
    few = Constant <value_ints = [3]> ()
    last = Constant <value_ints = [2]> ()
    c = Conv <strides = [8, 8]> (x, w)
    a = Reshape (c, flat)
    box, logits = Split <axis = 1> (a, cut)
    p = Sigmoid (logits)
    corners = Transpose <perm = [0, 2, 1]> (box)
    boxes = NonMaxSuppression (corners, p, few)
    anchor = Gather <axis = 1> (boxes, last)
    scores = Cast <to = 1> (anchor)
}
"""


def test_before_non_maximum_suppression():
    score = Network(network(SUPPRESSED)).class_score
    assert (score.tensor, score.quantity, score.units) == ("logits", "probability", 5)


QUANTIZED = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 6] x, float[6, 4] w) => (float[N, 4] y)
{
    scale = Constant <value_float = 0.001> ()
    part = Constant <value_float = 0.00390625> ()
    zero = Constant <value = int8 {0}> ()
    low = Constant <value = int8 {-128}> ()
    logits = MatMul (x, w)
    q = QuantizeLinear (logits, scale, zero)
    d = DequantizeLinear (q, scale, zero)
    END
}
"""


@pytest.mark.parametrize(
    "end",
    [
        "y = Identity (d)",
        "p = Softmax (d) u = QuantizeLinear (p, part, low) y = DequantizeLinear (u, part, low)",
    ],
    ids=["scores", "softmax"],
)
def test_the_last_quantisation_is_behind_the_class_score(end):
    """Logits beyond ±0.128 saturate, and no signal passes a saturated QuantizeLinear."""
    model = network(QUANTIZED.replace("END", end))
    x = np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)
    made = artefact(model, select="fixed", channels=(2,))
    (weight,) = [t for t in model.graph.initializer if t.name == "w"]
    exact = np.frombuffer(weight.raw_data, np.float32).reshape(6, 4)[:, 2]
    np.testing.assert_array_equal(run(made, x=x)["attribution"], np.tile(exact, (2, 1)))


LINEAR = """
<ir_version: 8, opset_import: ["": 17, "ai.onnx.ml": 3]>
net (float[N, 3, 8, 8] x, float[3, 3, 3, 3] w) => (int64[N] label, float[N, 2] p)
{
    c = Conv (x, w) g = GlobalAveragePool (c) f = Flatten (g)
    label, q = ai.onnx.ml.LinearClassifier <
        coefficients = [0.1, -0.2, 0.3, 0.4, 0.5, -0.6], intercepts = [0.1, 0.2],
        classlabels_ints = [4, 7], post_transform = "SOFTMAX"
    > (f)
    p = ai.onnx.ml.Normalizer <norm = "L1"> (q)
}
"""


@pytest.mark.parametrize("output", ["p", "label"])
def test_scores_inside_a_linear_classifier_of_scikit_learn(output):
    """As ONNX Runtime computes them: its probabilities are their softmax."""
    model = network(LINEAR)
    kept = [value for value in model.graph.output if value.name == output]
    score = Network(model).class_score
    assert (score.units, score.axis, score.quantity, score.normalized) == (2, 1, "probability", "p")
    del model.graph.output[:]
    model.graph.output.extend(kept)
    assert Network(model).class_score.quantity == ("probability" if output == "p" else "score")
    x = images(1, (8, 8))
    found = [
        run(rewrite(model, None, "gradient", Options(select="fixed", channels=(c,))), x=x)
        for c in (0, 1)
    ]
    scores = np.array([one["score"][0] for one in found])
    probabilities = run(rewrite(network(LINEAR)), x=x, channel=np.zeros(1, np.int64))["p"][0]
    np.testing.assert_allclose(np.exp(scores) / np.exp(scores).sum(), probabilities, rtol=1e-5)
    to_features = [
        run(rewrite(model, None, "gradient", Options(select="fixed", channels=(c,), to="f")), x=x)[
            "attribution"
        ][0]
        for c in (0, 1)
    ]
    np.testing.assert_allclose(to_features, [[0.1, -0.2, 0.3], [0.4, 0.5, -0.6]], rtol=1e-6)


FOREIGN = """
<ir_version: 8, opset_import: ["": 17, "ai.onnx.ml": 3]>
net (float[N, 3, 8, 8] x, float[6, 3, 3, 3] w) => (int64[N] label, float[N, 3] p)
{
    c = Conv (x, w) g = GlobalAveragePool (c) f = Flatten (g)
    label, p = ai.onnx.ml.SVMClassifier <classlabels_ints = [0, 1, 2]> (f)
}
"""


def test_scores_inside_an_operator_without_a_rule_are_refused_by_name():
    with pytest.raises(UnsupportedModel, match=r"inside SVMClassifier .* such as 'f'"):
        rewrite(network(FOREIGN))
    artefact(network(FOREIGN), "f")


PLUG_IN = """
<ir_version: 8, opset_import: ["": 17, "my.plugins": 1]>
net (float[N, 3, 8, 8] x, float[6, 3, 3, 3] w) => (float boxes)
{
    c = Conv (x, w) g = GlobalAveragePool (c) f = Flatten (g)
    boxes = my.plugins.Decode (f)
}
"""


def test_an_output_of_a_plug_in_without_a_shape_is_no_class_score():
    model = network(PLUG_IN)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    with pytest.raises(UnsupportedModel, match=r"inside Decode of .*my.plugins.* such as 'f'"):
        rewrite(model)
    assert not any("class score" in layer.marks for layer in layers(model))
    rewrite(model, "f")


def test_softmax_spelled_out():
    model = network("""
        <ir_version: 8, opset_import: ["": 17]>
        net (float[N, 6] x, float[6, 4] w) => (float[N, 4] y)
        { axes = Constant <value_ints = [1]> () s = MatMul (x, w) m = ReduceMax <axes = [1]> (s)
          d = Sub (s, m) e = Exp (d) t = ReduceSum <keepdims = 1> (e, axes) y = Div (e, t) }
    """)
    score = Network(model).class_score
    assert (score.tensor, score.normalized, score.quantity) == ("s", "y", "probability")


@pytest.mark.parametrize("method", ["gradient", "lrp_epsilon", "integrated_gradients", "grad_cam"])
def test_negate_is_the_evidence_against(method):
    _, model = exported("binary")
    x = images(2, (24, 20))
    channel = np.zeros(2, np.int64)
    found = [
        run(rewrite(model, method=method, options=Options(negate=negate)), x=x, channel=channel)
        for negate in (False, True)
    ]
    np.testing.assert_allclose(found[1]["score"], -found[0]["score"])
    if method != "grad_cam":  # the positive part of either
        np.testing.assert_allclose(found[1]["attribution"], -found[0]["attribution"], atol=1e-7)
    if "completeness_error" in found[0]:
        np.testing.assert_allclose(
            found[1]["completeness_error"], -found[0]["completeness_error"], atol=1e-6
        )


@pytest.mark.parametrize("method", ["grad_cam", "layer_cam", "guided_backprop", "lrp_epsilon"])
def test_position_all_gives_the_sum_over_positions(method):
    """In a class score with positions; any other layer starts at all of them by default."""
    _, model = exported("segmentation")
    body = next(one.tensor for one in layers(model) if one.operator == "Relu")
    layer = body if "cam" in method else None
    x, channel = images(2, (24, 20)), np.array([1, 3])
    default, given, everywhere = (
        run(artefact(model, layer, method, position=p), x=x, channel=channel)
        for p in (None, "max", "all")
    )
    np.testing.assert_array_equal(default["attribution"], given["attribution"])
    assert "position" not in everywhere
    assert np.abs(everywhere["attribution"] - given["attribution"]).max() > 1e-6
    if "cam" not in method:
        inner = run(artefact(model, body, method), x=x, channel=channel)
        assert "position" not in inner


def test_the_layer_s_own_values_stay_a_map():
    _, model = exported("segmentation")
    x, channel = images(2, (24, 20)), np.array([1, 3])
    found = run(artefact(model, method="activation"), x=x, channel=channel)
    assert "position" not in found
    assert np.count_nonzero(found["attribution"]) > 2


@pytest.mark.parametrize("method", ["gradient", "activation", "grad_cam"])
@pytest.mark.parametrize(
    "options", [{"select": "fixed", "channels": (0,)}, {"select": "pairs"}, {"select": "whole"}, {}]
)
def test_one_number_per_image_is_one_unit(method, options):
    """[N] and [N, 1] of one network give the same."""
    x, results = images(2, (24, 20)), []
    feeds = {"channel": np.zeros(2, np.int64), "image_index": np.arange(2)}
    for kind in ("regression", "regression of rank 1"):
        made = artefact(exported(kind)[1], method=method, **options)
        names = {i.name for i in made.graph.input}
        results.append(run(made, x=x, **{n: v for n, v in feeds.items() if n in names}))
    for name in ("attribution", "score"):
        np.testing.assert_allclose(results[0][name], results[1][name], rtol=1e-5, atol=1e-7)
