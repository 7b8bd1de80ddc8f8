"""Notes on results that say nothing or miss what their method promises, and where they show."""

import numpy as np
import onnx.parser
import pytest
from artefacts import network
from engine.nets import classifier, pictures
from engine.painted import painted, texts_of
from onnx import numpy_helper

from onnxplain.engine import Engine
from onnxplain.engine.conservation import is_incomplete, is_noise
from onnxplain.engine.drawing import Style
from onnxplain.graphops import Method
from onnxplain.graphops.backward import Attribution
from onnxplain.graphops.options import BASELINE

NET = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 12, 12] x, float[4, 3, 3, 3] w, float[4] b, float[4, 2] d) => (float[N, 2] y)
{ c = Conv (x, w, b) r = Relu (c) g = GlobalAveragePool (r) f = Flatten (g) y = MatMul (f, d) }
"""
PICTURE = pictures(1, 12, 12)[0]


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu", threads=1)


def net(bias=0.0, dense=None, convolution=None):
    """Return the network, in which class 1 has negative evidence only."""
    model = network(NET)
    evidence = np.array([[1.0, -1.0]] * 4) if dense is None else dense
    given = {"b": np.full(4, bias), "d": evidence, "w": convolution}
    for tensor in model.graph.initializer:
        if given[tensor.name] is not None:
            values = np.asarray(given[tensor.name], np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


def notes(engine, model, method, units, layer=None, **choices):
    return engine.explain(
        model, PICTURE, layer, method, units, preprocess="unit", **choices
    ).notes  # fmt: skip


@pytest.mark.parametrize("method", ["grad_cam", "guided_grad_cam"])
def test_a_class_without_positive_evidence(engine, method):
    (note,) = notes(engine, net(), method, 1, "r")
    assert note.startswith("no positive evidence for this class in 'r'")
    assert "--negate" in note
    assert notes(engine, net(), method, 0, "r") == ()
    shown = engine.explain(net(), PICTURE, None, method, 1, preprocess="unit", negate=True)
    assert shown.attribution.any() and not any("no positive" in note for note in shown.notes)
    (_, note) = notes(engine, net(), method, 0, "r", negate=True)
    assert note.startswith("no negative evidence against this class") and "--negate out" in note


@pytest.mark.parametrize("method", ["deconvnet", "guided_backprop"])
def test_negative_evidence_alone_by_methods_that_pass_positive_signals(engine, method):
    (note,) = notes(engine, net(), method, 1, position="all", seed_value="one")
    assert note.startswith("no positive signal gets from 'y' to 'x'") and "--negate" in note
    assert notes(engine, net(), "gradient", 1) == ()


@pytest.mark.parametrize("method", ["gradient", "deconvnet", "lrp", "activation", "occlusion"])
def test_a_unit_that_is_off(engine, method):
    (note,) = notes(engine, net(bias=-100.0), method, 2, "r")
    assert note.startswith("a unit of 'r' is zero on the picture") and "--channel" in note


def test_no_signal_arrives(engine):
    """The score is its bias, since every rectifier is off."""
    model = net(bias=-100.0)
    add = onnx.helper.make_node("Add", ["y", "one"], ["z"])
    model.graph.node.append(add)
    model.graph.initializer.append(numpy_helper.from_array(np.ones(2, np.float32), "one"))
    model.graph.output[0].name = "z"
    for method, reason in (
        ("gradient", "no signal gets from 'z' to 'x'"),
        ("occlusion", "covering 'x' does not change the score"),
        ("rise", "covering 'x' does not change the score"),
        ("deeplift", "or it equals the baseline"),
    ):
        (note,) = notes(engine, model, method, 0, **({"masks": 9} if method == "rise" else {}))
        assert reason in note


def test_a_map_without_places(engine):
    """The gradient of a mean is the same everywhere."""
    model = network("""
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 3, H, W] x) => (float[N, 3] y) { g = GlobalAveragePool (x) y = Flatten (g) }
    """)
    (note,) = notes(engine, model, "gradient", 0)
    assert "the same at every position" in note
    assert notes(engine, model, "input_x_gradient", 0) == ()


@pytest.mark.parametrize(("bias", "noted"), [(0.0, None), (2.0, "1 %"), (20.0, "1 %")])
def test_relevance_that_biases_take_up_is_noted(engine, bias, noted):
    """By the ε-rule, a bias takes up its share; LRP conserves the rest."""
    found = notes(engine, net(bias), "lrp_epsilon", 0)
    assert [f"by more than {noted}" in note for note in found] == ([] if noted is None else [True])
    if noted:
        assert "differs from the relevance at 'y'" in found[0] and "completeness" in found[0]


def attributed(factor, error):
    """Return a method whose map is `factor` times the gradient, and its error `error`·Σ map."""

    def compute(walk):
        op = walk.op
        values = op.Mul(walk.back(), factor)
        return Attribution(values, op.Mul(op.ReduceSum(values, [1, 2, 3], keepdims=0), error))

    return compute


def test_deeplift_s_misses_are_noted(engine):
    for error, noted in ((0.001, None), (0.05, "1 %"), (1.5, "100 %")):
        method = Method("like_deeplift", compute=attributed(1.0, error), takes=(BASELINE,))
        found = notes(engine, net(), method, 0)
        if noted is None:
            assert found == ()
        else:
            assert "f(input) - f(baseline)" in found[0] and f"more than {noted}," in found[0]
            assert "--method integrated_gradients" in found[0]


def colours(found):
    return painted(found.panel(0, 0, Style()), 80, 80)[0]


def test_rounding_noise_is_noted_and_not_drawn(engine):
    """Next to nothing of the relevance arrives, a millionth of it, of both signs."""
    method = Method("noise", compute=attributed(1e-6, 1e6))
    mixed = np.ones((4, 3, 3, 3)) * np.reshape([1, -0.9, 0], (3, 1, 1))
    found = engine.explain(net(9.0, None, mixed), PICTURE, None, method, 0, preprocess="unit")
    (note,) = found.notes
    assert "rounding noise" in note
    assert found.attribution.any()
    assert colours(found).std(axis=(0, 1)).max() == 0, "the map's colour is that of zero"
    kept = engine.explain(net(), PICTURE, None, "gradient", 0, preprocess="unit")
    assert colours(kept).std() > 1


def test_what_biases_leave_of_relevance_is_no_noise(engine):
    """Little arrives, but of one sign: nothing cancelled, and the map is drawn."""
    method = Method("absorbed", compute=attributed(1e-6, 1e6))
    positive = np.ones((4, 3, 3, 3))
    found = engine.explain(net(1.0, None, positive), PICTURE, None, method, 0, preprocess="unit")
    (note,) = found.notes
    assert "more than 100 %" in note
    assert colours(found).std() > 1


def test_what_counts_as_incomplete_and_as_noise():
    """Relative to the sum that was to arrive: what did, less the error."""
    maps = np.array([[1.0, 1.0], [1.0, 1.0], [1e8, -1e8], [0.0, 0.0]], np.float32)
    error = np.array([0.03, 0.01, 8.0, 0.0], np.float32)
    assert is_incomplete(maps, error).tolist() == [True, False, True, False]
    assert not is_noise(maps, np.array([1.0, 1.0, 1.0, 5.0])).any()
    left = np.array([[3.0, -2.0], [3.0, 2.0], [3.0, -0.1]], np.float32)
    assert is_noise(left, np.full(3, -1e6)).tolist() == [True, False, False], "of both signs alike"


def test_the_drawing_shows_the_notes_but_not_their_advice(engine):
    guessed = engine.explain(classifier(), PICTURE, None, "gradient", 1)
    assert guessed.notes[0].startswith("assumed preprocessing 'imagenet'")
    known = engine.explain(classifier(), PICTURE, None, "gradient", 1, preprocess="imagenet")
    assert known.notes == ()
    texts = texts_of(guessed.figure())
    assert any(text.startswith("Note: assumed preprocessing 'imagenet'") for text in texts)
    assert not any("--preprocess" in text for text in texts)
    assert not any("Note" in text for text in texts_of(known.figure()))
    views = [
        engine.maps(classifier(), PICTURE, ["gradient", "lrp"], preprocess=how)
        for how in (None, "imagenet")
    ]
    told = [any("Note: assumed" in text for text in texts_of(view.figure())) for view in views]
    assert told == [True, False]


@pytest.mark.parametrize(("pooling", "noted"), [("GlobalAveragePool", False), ("Identity", True)])
def test_only_a_class_score_with_several_positions_is_said_to_start_at_one(engine, pooling, noted):
    model = network(
        f"""
        <ir_version: 8, opset_import: ["": 17]>
        net (float[N, 3, 12, 12] x, float[4, 3, 3, 3] w) => (float[N, 4, H, W] y)
        {{ c = Conv (x, w) s = {pooling} (c) y = Softmax <axis = 1> (s) }}
        """
    )
    found = [note for note in notes(engine, model, "deconvnet", 0) if "has positions" in note]
    assert bool(found) is noted and all("--position all" in note for note in found)


@pytest.mark.parametrize(
    "method", ["gradient", "vargrad", "integrated_gradients", "lrp_epsilon", "occlusion", "rise"]
)
@pytest.mark.filterwarnings("error")
def test_values_that_are_not_finite_have_one_note_and_no_other_warning(engine, method):
    overflowing = net(convolution=np.full((4, 3, 3, 3), 1e30), dense=np.full((4, 2), 1e30))
    behind = NET.replace("] y)", "] p)").replace("(f, d)", "(f, d) p = Softmax (y)")
    probable = network(behind)
    del probable.graph.initializer[:]
    probable.graph.initializer.extend(overflowing.graph.initializer)
    choices = {"masks": 10} if method == "rise" else {}
    found = engine.explain(probable, PICTURE, None, method, 0, preprocess="unit", **choices)
    assert not np.isfinite(found.attribution).all()
    (note,) = found.notes
    assert note.startswith("some values are NaN or infinite")
    found.figure()
