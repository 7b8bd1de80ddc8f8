"""Evaluations of a network whose evidence is known: the brightness of a quarter of the picture."""

from importlib import import_module

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from artefacts import network
from onnx import numpy_helper

from onnxplain.engine import Engine, Preprocess, class_methods
from onnxplain.engine.evaluation.metrics import grey, ranked_pixels, replaced
from onnxplain.engine.evaluation.randomization import randomized
from onnxplain.graphops import METHODS
from onnxplain.graphops.errors import ModelError, OptionError, UnknownMethod

evaluation = import_module("onnxplain.engine.evaluation.evaluate")

SIDE = 8
PLAIN = Preprocess(scale=1 / 255)


def quarters():
    """Return a classifier whose class q scores the sum over quarter q, weighted unevenly."""
    rng = np.random.default_rng(0)
    kernel = np.zeros((4, 3, SIDE, SIDE), np.float32)
    for q in range(4):
        rows, columns = slice(4 * (q // 2), 4 * (q // 2) + 4), slice(4 * (q % 2), 4 * (q % 2) + 4)
        kernel[q, :, rows, columns] = rng.uniform(0.5, 1, (3, 4, 4)) / 4
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    quarters (float[N, 3, 8, 8] x, float[4, 3, 8, 8] w) => (float[N, 4] y)
    { c = Conv (x, w) r = Relu (c) y = Flatten (r) }
    """
    model = network(text)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(kernel, "w"))
    return model


def picture(quarter, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 60, (SIDE, SIDE, 3)).astype(np.uint8)
    rows, columns = 4 * (quarter // 2), 4 * (quarter % 2)
    pixels[rows : rows + 4, columns : columns + 4] += 150
    return pixels


def mask(quarter):
    return np.where(picture(quarter) >= 150, 255, 0).astype(np.uint8)


@pytest.fixture(scope="module")
def found():
    pictures, masks = [picture(0), picture(3, 1)], [mask(0), mask(3)]
    result = Engine("cpu").evaluate(
        quarters(), pictures, ["input_x_gradient"], masks=masks, randomize=2, preprocess=PLAIN
    )
    return {evaluation.method: evaluation for evaluation in result}


def test_a_true_map_is_told_from_noise(found):
    true, noise = found["input_x_gradient"], found["random"]
    assert true.pointing == true.mass == 1  # the other quarters have no weight at all
    assert noise.mass == pytest.approx(0.25, abs=0.1)
    assert true.deletion_area < noise.deletion_area
    assert true.insertion_area > noise.insertion_area
    assert abs(noise.randomization[-1]) < 0.3
    assert true.randomization.shape == (1,)
    assert true.randomization[0] < 0.6


def test_the_deletion_curve_step_by_step(found):
    """As a loop that runs the network itself."""
    model = quarters()
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    kernel = numpy_helper.to_array(model.graph.initializer[0])
    curves = []
    for pixels, q in ((picture(0), 0), (picture(3, 1), 3)):
        x = pixels.transpose(2, 0, 1) / 255
        strength = np.sqrt(np.square(x * kernel[q]).sum(axis=0))
        curve = []
        for frame in replaced(pixels, grey(pixels), ranked_pixels(strength), 32):
            values = (frame.transpose(2, 0, 1)[None] / 255).astype(np.float32)
            scores = session.run(None, {"x": values})[0][0].astype(float)
            curve.append(np.exp(scores[q]) / np.exp(scores).sum())
        curves.append(curve)
    expected = np.mean(curves, axis=0)
    np.testing.assert_allclose(found["input_x_gradient"].deletion, expected, rtol=1e-4)


def test_networks_forget_from_the_top_down():
    model = network("""
    <ir_version: 8, opset_import: ["": 17]>
    two (float[N, 3, 8, 8] x, float[4, 3, 3, 3] w, float[4] b, float[4, 2] v) => (float[N, 2] y)
    { c = Conv (x, w, b) m = GlobalAveragePool (c) f = Flatten (m) y = MatMul (f, v) }
    """)
    steps = list(randomized(model))
    kept = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    changed = []
    for step in steps:
        onnx.checker.check_model(step)
        now = {t.name: numpy_helper.to_array(t) for t in step.graph.initializer}
        changed.append({name for name in kept if not np.array_equal(kept[name], now[name])})
        for name, values in now.items():
            np.testing.assert_array_equal(np.sort(values.ravel()), np.sort(kept[name].ravel()))
    assert changed == [{"v"}, {"v", "w", "b"}]


def test_one_shuffled_network_is_held_at_a_time(monkeypatch):
    """A network of 100 MB with 50 layers would else take 5 GB."""
    happened = []

    def told(model):
        for _ in range(3):
            happened.append("shuffled")
            yield model

    monkeypatch.setattr(evaluation, "randomized", told)
    monkeypatch.setattr(evaluation, "weights_from_top", lambda model: [[]] * 3)
    Engine("cpu").evaluate(quarters(), [picture(0)], ["gradient"], randomize=1, preprocess=PLAIN,
        progress=lambda done, total: happened.append(done),
    )  # fmt: skip
    assert happened == [*range(5), "shuffled", 5, 6, "shuffled", 7, 8, "shuffled", 9, 10]


def test_the_others_are_evaluated_where_a_method_refuses():
    """The network has no layer with positions for a class activation map."""
    asked, steps = ["grad_cam", "gradient", "layer_cam"], []
    found = Engine("cpu").evaluate(quarters(), [picture(0)], asked, randomize=1, preprocess=PLAIN,
        progress=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    assert [one.method for one in found] == ["gradient", "random"]
    assert list(found.refused) == ["grad_cam", "layer_cam"]
    assert all("layer" in reason for reason in found.refused.values())
    assert steps[-1] == (6, 6) and [done for done, _ in steps] == sorted(done for done, _ in steps)
    alone = Engine("cpu").evaluate(quarters(), [picture(0)], ["gradient"], preprocess=PLAIN)
    assert alone.refused == {}
    np.testing.assert_array_equal(found[0].deletion, alone[0].deletion)


def test_a_refusal_advises_no_layer_or_target_which_an_evaluation_does_not_take():
    """LRP takes no bias that depends on the picture; the layer before the Gemm would do."""
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 3, 8, 8] x, float[3, 2] w) => (float[N, 2] y)
    { p = GlobalAveragePool (x) f = Flatten (p) b = ReduceMean <keepdims = 0> (f)
      y = Gemm (f, w, b) }
    """
    model, chosen = network(text), {"preprocess": PLAIN}
    model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.float32([[1, 2], [3, 4], [5, 6]]), "w")
    )
    with pytest.raises(ModelError, match=r"explain '\w+' \(`layer`\)"):
        Engine("cpu").explain(model, picture(0), method="lrp_epsilon", **chosen)
    methods = ["lrp_epsilon", "gradient"]
    found = Engine("cpu").evaluate(model, [picture(0)], methods, **chosen)
    assert "bias" in found.refused["lrp_epsilon"] and "`" not in found.refused["lrp_epsilon"]
    with pytest.raises(ModelError, match="bias[^`]*$"):
        Engine("cpu").evaluate(model, [picture(0)], ["lrp_epsilon"], **chosen)


def test_an_evaluation_without_any_method_left_is_an_error():
    with pytest.raises((ModelError, OptionError), match="layer"):
        Engine("cpu").evaluate(quarters(), [picture(0)], ["grad_cam"], preprocess=PLAIN)


def test_masks_that_do_not_fit():
    with pytest.raises(OptionError, match="2 masks for 1"):
        Engine("cpu").evaluate(quarters(), [picture(0)], ["gradient"], masks=[mask(0)] * 2,
            preprocess=PLAIN,
        )  # fmt: skip


@pytest.mark.parametrize("light", [1, 2, 255])
def test_masks_say_inside_by_any_number(light):
    """Label files hold 0 and 1, drawings 0 and 255."""
    masks = [np.where(mask(0) > 0, light, 0).astype(np.uint8)]
    noise, true = Engine("cpu").evaluate(
        quarters(), [picture(0)], ["input_x_gradient"], masks=masks, preprocess=PLAIN
    )[::-1]
    assert true.pointing == 1
    assert true.mass == pytest.approx(1)
    assert 0 < noise.mass < 1


@pytest.mark.parametrize("colour", [(128, 0, 0), (0, 0, 255), (255, 255, 0)])
def test_masks_in_colours(colour):
    """Also for a network that sees grey, where blue would be dark."""
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    grey (float[N, 1, 8, 8] x, float[4, 1, 8, 8] w) => (float[N, 4] y)
    { c = Conv (x, w) r = Relu (c) y = Flatten (r) }
    """
    masks = [np.where(mask(0)[:, :, :1] > 0, np.array(colour, np.uint8), 0).astype(np.uint8)]
    grey = Preprocess(color="GRAY", scale=1 / 255)
    found = [
        Engine("cpu").evaluate(network(text), [picture(0)], ["gradient"], masks=m, preprocess=grey)
        for m in (masks, [mask(0)])
    ]
    assert found[0][0].mass == found[1][0].mass > 0


def test_a_mask_with_nothing_inside_is_refused():
    masks = [mask(0), np.zeros_like(mask(0))]
    with pytest.raises(OptionError, match="mask 2 of 2 has no light pixel"):
        Engine("cpu").evaluate(
            quarters(), [picture(0)] * 2, ["gradient"], masks=masks, preprocess=PLAIN
        )


def test_what_is_no_map_is_refused():
    steps = []
    for method in ("activation", "activation_maximisation"):
        with pytest.raises(OptionError, match=f"'{method}' does not explain a class .* gradient,"):
            Engine("cpu").evaluate(quarters(), [picture(0)], ["gradient", method], preprocess=PLAIN,
                progress=lambda *step: steps.append(step),
            )  # fmt: skip
    with pytest.raises(UnknownMethod, match="gradeint"):
        Engine("cpu").evaluate(quarters(), [picture(0)], ["gradient", "gradeint"])
    assert not steps  # nothing was worked on
    with pytest.raises(OptionError, match="randomize -1"):
        Engine("cpu").evaluate(
            quarters(), [picture(0)], ["gradient"], randomize=-1, preprocess=PLAIN
        )


def test_every_method_that_explains_a_class_can_be_evaluated():
    left_out = {"activation", "inverse", "lrp"}
    assert set(class_methods()) == METHODS.keys() - left_out | {"occlusion", "rise"}
