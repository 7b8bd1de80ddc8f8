"""What is said when something cannot be explained: what was wrong, where, and what to do."""

import numpy as np
import onnx
import pytest
from check_rule import run
from onnx import numpy_helper

from onnxplain.graphops import Options, check, layers, rewrite
from onnxplain.graphops.errors import (
    ChannelError,
    InputError,
    ModelError,
    OnnxplainError,
    OptionError,
    UnknownLayer,
    UnknownMethod,
    UnsupportedModel,
    UnsupportedOperator,
    nearest,
)

RNG = np.random.default_rng(0)
CONSTANTS = {
    "w1": RNG.standard_normal((4, 3, 3, 3)).astype(np.float32),
    "w2": RNG.standard_normal((2, 4, 3, 3)).astype(np.float32),
    "bn": np.ones(3, np.float32),
    "start": np.zeros((2, 4, 7, 6), np.float32),
    "half": np.array(0.5, np.float32),
    "one": np.array(1),
    "three": np.array(3),
    "go": np.array(True),
    "kernel": np.array([8, 3, 3, -1]),
    "flat": np.array([-1]),
}


def network(text, described=True):
    """Return a network from x, float [N, 3, 9, 8]; its nodes are named by operator, `Conv_0`."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17, "strangers": 1]> '
        f"net (float[N, 3, 9, 8] x) => (float[N, C, H, W] y) {{ {text} }}"
    )
    for i, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{i}"
    read = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(
        numpy_helper.from_array(v, name) for name, v in CONSTANTS.items() if name in read
    )
    if any("l" in node.output for node in model.graph.node) and described:  # as an exporter would
        value = onnx.helper.make_tensor_value_info("l", onnx.TensorProto.FLOAT, ["N", 4, 7, 6])
        model.graph.value_info.append(value)
    return model


PLAIN = network("c = Conv (x, w1)  r = Relu (c)  y = Conv (r, w2)")

BODY = "step (int64 i, bool t, float[N, 4, 7, 6] a) => (bool u, float[N, 4, 7, 6] b)"
TAIL = "r = Relu (l)  y = Conv (r, w2)"

# Networks with an operator that has no rule, its node, and the first tensor that can be explained.
BLOCKED = {
    "one": (f"c = Conv (x, w1)  l = strangers.Odd (c)  {TAIL}", "Odd_1", "l"),
    "two, the last counts": (
        f"a = strangers.Odd (x)  c = Conv (a, w1)  l = strangers.Odd (c)  {TAIL}",
        "Odd_0",
        "l",
    ),
    "loop": (
        f"c = Conv (x, w1)  l = Loop <body = {BODY} {{ u = Identity (t)  b = Relu (a) }}>"
        f" (three, go, c)  {TAIL}",
        "Loop_1",
        "l",
    ),
    "loop that reads from outside": (
        f"c = Conv (x, w1)  l = Loop <body = {BODY} {{ u = Identity (t)  b = Add (a, c) }}>"
        f" (three, go, start)  {TAIL}",
        "Loop_1",
        "l",
    ),
    "if, which reads from outside": (
        "c = Conv (x, w1)  s = ReduceSum <keepdims = 0> (x)  up = Greater (s, half)  l = If (up)"
        " <then_branch = a () => (float[N, 4, 7, 6] t) { t = Relu (c) },"
        f" else_branch = b () => (float[N, 4, 7, 6] e) {{ e = Sigmoid (c) }}>  {TAIL}",
        "If_3",
        "l",
    ),
    "scan": (
        "c = Conv (x, w1)  l = Scan <num_scan_inputs = 1, body = step (float[4, 7, 6] a) =>"
        f" (float[4, 7, 6] b) {{ b = Relu (a) }}> (c)  {TAIL}",
        "Scan_1",
        "l",
    ),
    "foreign domain": (f"c = Conv (x, w1)  l = strangers.Relu (c)  {TAIL}", "Relu_1", "l"),
    "one of two branches": (
        "c = Conv (x, w1)  a = Relu (c)  b = strangers.Odd (c)  s = Add (a, b)  y = Conv (s, w2)",
        "Odd_2",
        "a",
    ),
}


@pytest.mark.parametrize(("text", "node", "start"), BLOCKED.values(), ids=BLOCKED)
def test_an_operator_without_a_rule(text, node, start):
    model = network(text)
    with pytest.raises(UnsupportedOperator) as caught:
        rewrite(model, "y", "gradient")
    said = str(caught.value)
    operator = node.split("_")[0]
    for part in (
        f"no rule for {operator}",
        f"'{node}'",
        "opset 17",
        "'x'",
        "'y'",
        f"project back to '{start}' (`to`)",
    ):
        assert part in said, said
    assert "\n" not in said


@pytest.mark.parametrize(("text", "node", "start"), BLOCKED.values(), ids=BLOCKED)
def test_the_preflight_says_the_same(text, node, start):
    model = network(text)
    report = check(model, "y", "gradient")
    assert not report.ok
    assert report.explainable_from == start
    with pytest.raises(UnsupportedOperator) as caught:
        rewrite(model, "y", "gradient")
    assert report.problem == str(caught.value)
    rows = {row.node: row.rule for row in report.nodes}
    assert rows[node] == "no rule"
    assert rows[f"Conv_{len(model.graph.node) - 1}"] == "exact"


@pytest.mark.parametrize(("text", "node", "start"), BLOCKED.values(), ids=BLOCKED)
def test_explanation_is_possible_from_where_it_says(text, node, start):
    model = network(text)
    assert check(model, "y", "gradient", to=start).ok
    artefact = rewrite(model, "y", "gradient", Options(to=start, position="all"))
    foreign = any(n.domain for n in model.graph.node)
    onnx.checker.check_model(artefact, full_check=not foreign)
    if foreign:
        return  # no runtime here has it
    x = RNG.standard_normal((2, 3, 9, 8)).astype(np.float32)
    feeds = {"x": x, "channel": np.array([1, 0])}
    expected = run(model, {"x": x})[0]
    y, attribution, score = run(artefact, feeds, "y", "attribution", "score")
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(score, [expected[0, 1].sum(), expected[1, 0].sum()], rtol=1e-4)
    assert attribution.shape == (2, 4, 7, 6)
    assert np.any(attribution)


@pytest.mark.parametrize("case", ["loop", "foreign domain"])
def test_an_operator_of_whose_output_nothing_is_known(case):
    text, node, _ = BLOCKED[case]
    with pytest.raises(UnsupportedOperator, match=f"no rule for .*'{node}'"):
        rewrite(network(text, described=False), "y", "gradient")


def test_a_target_of_unknown_rank():
    text, _, _ = BLOCKED["loop"]
    with pytest.raises(UnsupportedModel, match="'l'"):
        rewrite(network(text, described=False), "y", "gradient", Options(to="l"))


def test_foreign_operators_beside_the_path_do_no_harm():
    model = network("c = Conv (x, w1)  y = Relu (c)  z = strangers.Blur (c)")
    assert check(model, "y", "gradient").ok
    rewrite(model, "y", "gradient")


def test_a_foreign_operator_that_is_called_like_ours_has_no_rule():
    model = network("c = Conv (x, w1)  y = strangers.Relu (c)")
    with pytest.raises(UnsupportedOperator, match="Relu.*'strangers'"):
        rewrite(model, "y", "gradient", Options(select="seed"))


def test_nothing_can_be_explained():
    model = network("c = Conv (x, w1)  y = strangers.Odd (c)")
    report = check(model, "y", "gradient")
    assert not report.ok
    with pytest.raises(UnsupportedOperator, match="Odd"):
        rewrite(model, "y", "gradient")


def test_statistics_that_depend_on_the_image():
    """They carry a signal that no rule knows."""
    model = network(
        "p = GlobalAveragePool (x)  s = Reshape (p, flat)  "
        "y = BatchNormalization (x, s, bn, bn, bn)"
    )
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(
        UnsupportedOperator, match="BatchNormalization 'BatchNormalization_.*depends on 'x'"
    ):
        rewrite(model, "y", "gradient", Options(select="seed"))
    report = check(model, "y", "gradient")
    assert not report.ok
    assert "BatchNormalization" in report.problem


def test_training_mode_is_refused():
    model = network("n = BatchNormalization <training_mode = 1> (x, bn, bn, bn, bn)  y = Relu (n)")
    model.graph.node[0].output.extend(["mean", "variance"])
    with pytest.raises(UnsupportedModel, match="BatchNormalization_0.*training mode.*export"):
        rewrite(model, "y", "gradient")
    assert not check(model, "y", "gradient").ok
    model = network("d = Dropout (x, half, go)  y = Relu (d)")
    with pytest.raises(UnsupportedModel, match="Dropout_0.*training mode.*export"):
        rewrite(model, "y", "gradient")
    assert not check(model, "y", "gradient").ok


# Names.


@pytest.mark.parametrize(
    ("wrong", "right"), [("Conv_00", "Conv_0"), ("relu_1", "Relu_1"), ("xx", "x")]
)
def test_an_unknown_layer_gives_the_nearest_names(wrong, right):
    with pytest.raises(UnknownLayer, match=f"no layer '{wrong}' .*nearest: .*'{right}'"):
        rewrite(PLAIN, wrong)
    with pytest.raises(UnknownLayer, match=f"'{right}'"):
        check(PLAIN, wrong)
    with pytest.raises(UnknownLayer, match=f"'{right}'"):
        rewrite(PLAIN, "y", options=Options(to=wrong))


def test_an_unknown_module_gives_the_nearest_modules():
    model = onnx.ModelProto()
    model.CopyFrom(PLAIN)
    model.graph.node[0].name = "/features/features.0/Conv"
    model.graph.node[1].name = "/features/features.1/Relu"
    assert check(model, "features.1").layer == "r"
    with pytest.raises(UnknownLayer, match="'features.1'"):
        rewrite(model, "feature.1")


@pytest.mark.parametrize("name", ["", "w1", "Y", "conv_0", "c "])
def test_names_match_exactly(name):
    with pytest.raises(UnknownLayer):
        rewrite(PLAIN, name)


def test_an_integer_tensor_is_no_layer():
    model = network("d = Shape (x)  y = Relu (x)")
    with pytest.raises(UnknownLayer, match="'d' is of int64"):
        rewrite(model, "d")
    with pytest.raises(UnknownLayer, match="'d' is of int64"):
        rewrite(model, "y", options=Options(to="d"))
    assert "d" not in {layer.tensor for layer in layers(model)}


def test_an_unknown_method_gives_the_nearest():
    for call in (rewrite, check):
        with pytest.raises(UnknownMethod, match="no method 'deconvnets' .*'deconvnet'"):
            call(PLAIN, "y", "deconvnets")


def test_nearest():
    assert nearest("conv", ["conv1", "relu"]) == "nearest: 'conv1'"
    assert nearest("zzz", ["b", "a"]) == "nearest: 'a', 'b'"
    assert nearest("zzz", []) == "there are none"
    assert nearest("a", [f"a{i}" for i in range(20)]).count("'") == 10


# Options.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"select": "channels"}, "no select 'channels'.*'channel'"),
        ({"unpool": "scater"}, "no unpool 'scater'.*'scatter'"),
        ({"position": "maxi"}, "no position 'maxi'.*'max'"),
        ({"seed_value": "ones"}, "no seed value 'ones'.*'one'"),
        ({"select": "fixed"}, "at least one channel"),
        ({"channels": (1,)}, "select 'fixed'"),
        ({"select": "seed", "position": "all"}, "select 'seed'"),
        ({"select": "seed", "seed_value": "one"}, "select 'seed'"),
    ],
    ids=str,
)
def test_wrong_options(options, message):
    with pytest.raises(OptionError, match=message):
        Options(**options)


@pytest.mark.parametrize("axis", [0, 4, -4, 9])
def test_a_channel_axis_out_of_range(axis):
    with pytest.raises(OptionError, match=f"channel axis {axis}.*rank is 4"):
        rewrite(PLAIN, "y", options=Options(channel_axis=axis))


@pytest.mark.parametrize("channel", [2, -3, 99])
def test_a_baked_in_channel_out_of_range(channel):
    with pytest.raises(ChannelError, match=f"'y' has channels 0 to 1, not {channel}"):
        rewrite(PLAIN, "y", options=Options(select="fixed", channels=(0, channel)))


def test_a_target_that_is_not_upstream():
    for layer, to in (("c", "r"), ("x", "y")):
        with pytest.raises(InputError, match=f"'{to}'.*'{layer}'.*upstream"):
            rewrite(PLAIN, layer, options=Options(to=to))


def test_positions_of_a_layer_that_has_none():
    model = network("p = GlobalAveragePool (x)  f = Flatten (p)  y = Relu (x)")
    for position in ("max", "given"):
        with pytest.raises(OptionError, match="'f' has rank 2.*no positions"):
            rewrite(model, "f", options=Options(position=position))


def test_predicted_away_from_the_class_score():
    with pytest.raises(OptionError, match="'r' is not the class score"):
        rewrite(PLAIN, "r", options=Options(select="predicted"))


def test_the_model_stays_as_it_was_after_an_error():
    for text, *_ in BLOCKED.values():
        model = network(text)
        given = model.SerializeToString()
        with pytest.raises(OnnxplainError):
            rewrite(model, "y", "gradient")
        assert model.SerializeToString() == given


def test_the_tree():
    """Callers catch by these: what they gave, or what the model is."""
    for error in (UnknownLayer, UnknownMethod, OptionError, ChannelError):
        assert issubclass(error, InputError)
    for error in (UnsupportedOperator, UnsupportedModel):
        assert issubclass(error, ModelError)
    assert issubclass(InputError, OnnxplainError)
    assert issubclass(ModelError, OnnxplainError)
