"""The engine against PyTorch, ONNX's reference evaluator, and itself in smaller steps."""

import threading

import numpy as np
import onnx
import pytest
import torch
from engine.nets import classifier, pictures, set_metadata, with_random_weights
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

import onnxplain.engine
from onnxplain.engine import Engine, Preprocess, explain
from onnxplain.engine.runtime.footprint import Footprint
from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import (
    Cancelled,
    ChannelError,
    CorruptModel,
    MissingFile,
    OptionError,
    PictureError,
    UnknownLayer,
    UnknownMethod,
    UnsupportedModel,
)

MODEL = classifier()
PICTURES = pictures(3)


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu", threads=1)


def values_of(model, tensor, picture):
    """The tensor's values for one picture, by ONNX's reference evaluator."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.graph.output[:]
    cut.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    x = picture.astype(np.float32).transpose(2, 0, 1)[None] / np.float32(255)
    return ReferenceEvaluator(cut).run(None, {"x": x})[0]


def torch_gradient(picture, channel):
    """The gradient of a class score, by PyTorch's autograd."""
    w = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in MODEL.graph.initializer}
    x = torch.tensor(picture.astype(np.float32).transpose(2, 0, 1)[None] / 255).requires_grad_()
    hidden = torch.relu(torch.nn.functional.conv2d(x, w["w1"], w["b1"], padding=1))
    hidden = torch.nn.functional.max_pool2d(hidden, 3, 2)
    hidden = torch.relu(torch.nn.functional.conv2d(hidden, w["w2"], padding=1))
    scores = hidden.mean(dim=(2, 3)) @ w["w3"]
    scores[0, channel].backward()
    return x.grad[0].numpy(), scores[0, channel].item()


def room_for(rows, shape):
    """The memory that so many rows of the deconvnet of r2 take."""
    graph = rewrite(MODEL, "r2", "deconvnet", Options(select="pairs", keep_outputs=False))
    return rows * Footprint(graph, "x").item_bytes(shape)


def same(a, b):
    np.testing.assert_array_equal(a.channels, b.channels)
    np.testing.assert_allclose(a.score, b.score, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(a.attribution, b.attribution, rtol=1e-4, atol=1e-6)
    assert (a.position is None) == (b.position is None)
    if a.position is not None:
        np.testing.assert_array_equal(a.position, b.position)


def test_the_public_names():
    assert sorted(onnxplain.engine.__all__) == [
        "Choices", "Covered", "Curve", "Engine", "EngineMethod", "Evaluation",
        "Evaluations", "Explanation", "Found", "InstallationWarning", "Invariance",
        "METHODS", "Measurement", "PRESETS", "Preprocess", "RunCost", "SideBySide",
        "Sliding", "Strongest", "Training", "VIEWS", "View", "bake_preprocess",
        "class_methods", "evaluate", "explain", "invariance", "maps", "measure",
        "occlusion", "read_picture", "slide", "top", "training", "verify",
    ]  # fmt: skip


def test_a_gradient_is_pytorch_s(engine):
    result = engine.explain(MODEL, PICTURES, method="gradient", units=[4, 0], preprocess="unit")
    assert result.attribution.shape == (3, 2, 3, 17, 15)
    assert result.attribution.dtype == result.score.dtype == np.float32
    for i, picture in enumerate(PICTURES):
        for u, channel in enumerate((4, 0)):
            gradient, score = torch_gradient(picture, channel)
            error = np.linalg.norm(result.attribution[i, u] - gradient)
            assert error <= 1e-4 * np.linalg.norm(gradient)
            assert result.score[i, u] == pytest.approx(score, rel=1e-4)


def test_what_a_result_says_about_itself(engine):
    result = engine.explain(MODEL, PICTURES, "r2", preprocess="unit")
    assert (result.layer, result.to, result.method) == ("r2", "x", "deconvnet")
    assert result.channels.shape == (3, 1)
    assert result.position.shape == (3, 1, 2)
    assert len(result.pictures) == 3
    np.testing.assert_array_equal(result.pictures[1], PICTURES[1])
    assert result.notes == result.labels == ()
    assert "imagenet" in engine.explain(MODEL, PICTURES).notes[0]


@pytest.mark.parametrize(("layer", "count"), [("r2", 3), ("scores", 5), ("r1", 1)])
def test_top_k_is_numpy_s_choice(engine, layer, count):
    units = None if count == 1 else f"top:{count}"
    result = engine.explain(MODEL, PICTURES, layer, units=units, preprocess="unit")
    for i, picture in enumerate(PICTURES):
        values = values_of(MODEL, layer, picture)[0]
        strength = values.reshape(len(values), -1).max(axis=1)
        assert result.channels[i].tolist() == np.argsort(-strength)[:count].tolist()


def test_the_class_score_is_explained_where_no_layer_is_named(engine):
    result = engine.explain(MODEL, PICTURES, preprocess="unit")
    assert result.layer == "scores"
    assert result.channels[0, 0] == values_of(MODEL, "scores", PICTURES[0])[0].argmax()


def test_all_units_are_each_unit(engine):
    every = engine.explain(MODEL, PICTURES[:1], "r2", units="all", preprocess="unit")
    assert every.channels.tolist() == [list(range(8))]
    for channel in (0, 7):
        single = engine.explain(MODEL, PICTURES[:1], "r2", units=channel, preprocess="unit")
        np.testing.assert_allclose(
            every.attribution[:, [channel]], single.attribution, rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("rows", [0, 3, 10])
@pytest.mark.parametrize("position", ["max", (2, 3)])
def test_chunks_give_the_same_in_the_same_order(engine, rows, position):
    choices = {"units": "top:4", "preprocess": "unit", "position": position}
    whole = engine.explain(MODEL, PICTURES, "r2", **choices)
    small = Engine("cpu", threads=1, memory_bytes=room_for(rows, (3, 17, 15)))
    same(whole, small.explain(MODEL, PICTURES, "r2", **choices))


def test_pieces_are_one_image_and_a_chunk_of_units():
    engine = Engine("cpu", threads=1, memory_bytes=room_for(3, (3, 17, 15)))
    seen = []
    pieces = list(
        engine.explain_units(
            MODEL,
            PICTURES[:2],
            "r2",
            units="all",
            position="all",
            progress=lambda *p: seen.append(p),
        )
    )
    assert [(p.first_image, p.channels.tolist()) for p in pieces] == [
        (image, [chunk]) for image in (0, 1) for chunk in ([0, 1, 2], [3, 4, 5], [6, 7])
    ]
    assert seen == [(done, 16) for done in (0, 3, 6, 8, 11, 14, 16)]


def test_pictures_of_different_sizes_go_piece_by_piece(engine):
    mixed = [*pictures(1, 17, 15), *pictures(2, 12, 20)]
    pieces = list(engine.explain_units(MODEL, mixed, "r2", preprocess="unit"))
    assert [p.attribution.shape[2:] for p in pieces] == [(3, 17, 15), (3, 12, 20), (3, 12, 20)]
    for piece, picture in zip(pieces, mixed, strict=True):
        same(piece, engine.explain(MODEL, picture, "r2", preprocess="unit"))
    with pytest.raises(PictureError, match="differ in size"):
        engine.explain(MODEL, mixed, "r2", preprocess="unit")
    resized = engine.explain(MODEL, mixed, "r2", preprocess=Preprocess(size=(10, 10)))
    assert resized.attribution.shape == (3, 1, 3, 10, 10)


def test_chunks_keep_their_order_when_pictures_differ_in_size():
    mixed = [*pictures(2, 9, 9), *pictures(1, 40, 40)]
    engine = Engine("cpu", threads=1, memory_bytes=room_for(2, (3, 40, 40)))
    pieces = list(engine.explain_units(MODEL, mixed, "r2", units="all"))
    channels = {i: [] for i in range(3)}
    for piece in pieces:
        channels[piece.first_image] += piece.channels[0].tolist()
    assert channels == {i: list(range(8)) for i in range(3)}
    assert [p.first_image for p in pieces] == sorted(p.first_image for p in pieces)


def test_a_given_position_is_where_the_signal_starts(engine):
    result = engine.explain(
        MODEL, PICTURES, "r2", "gradient", [1, 2], position=(0, 0), preprocess="unit"
    )
    assert result.position.tolist() == [[[0, 0]] * 2] * 3
    # Two 3x3 convolutions and a 3x3 pool of stride 2 see from here no further than pixel 5.
    assert np.abs(result.attribution[:, :, :, 6:]).max() == 0
    assert np.abs(result.attribution[:, :, :, :, 6:]).max() == 0
    assert np.abs(result.attribution).max() > 0
    with pytest.raises(ChannelError, match="no position"):
        engine.explain(MODEL, PICTURES, "r2", position=(99, 0))
    with pytest.raises(OptionError, match="coordinates"):
        engine.explain(MODEL, PICTURES, "r2", position="given")


FIXED = """
<ir_version: 8, opset_import: ["": 17]>
net (float[1, 3, 8, 8] x, float[4, 3, 3, 3] w) => (float[1, 4] y)
{
    c = Conv <pads = [1, 1, 1, 1]> (x, w)
    r = Relu (c)
    mixed = Transpose <perm = [1, 0, 2, 3]> (r)
    back = Transpose <perm = [1, 0, 2, 3]> (mixed)
    y = ReduceMax <axes = [2, 3], keepdims = 0> (back)
}
"""


@pytest.mark.parametrize("batch", [1, 2])
def test_a_fixed_batch_is_run_row_by_row(engine, batch):
    fixed = with_random_weights(FIXED.replace("float[1,", f"float[{batch},"))
    free = with_random_weights(FIXED.replace("float[1,", "float[N,"))
    assert check(fixed, "r").batch == "fixed"
    three = pictures(3, 8, 8)
    for units in ("top:2", [3, 1]):
        expected = engine.explain(free, three, "r", units=units, preprocess="unit")
        same(expected, engine.explain(fixed, three, "r", units=units, preprocess="unit"))


def test_float16_is_close_to_float32_and_comes_as_float32(engine):
    half = classifier("float16")
    for initializer in half.graph.initializer:
        assert initializer.data_type == onnx.TensorProto.FLOAT16
    full = engine.explain(MODEL, PICTURES, "r2", "gradient", units=[1], preprocess="unit")
    result = engine.explain(half, PICTURES, "r2", "gradient", units=[1], preprocess="unit")
    assert result.attribution.dtype == result.score.dtype == np.float32
    error = np.linalg.norm(result.attribution - full.attribution)
    assert error < 0.05 * np.linalg.norm(full.attribution)


def test_channels_last_networks_take_pictures_too(engine):
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, H, W, 3] x, float[4, 3, 3, 3] w) => (float[N, 4] y)
    { t = Transpose <perm = [0, 3, 1, 2]> (x)  c = Conv (t, w)  g = GlobalAveragePool (c)
      y = Flatten (g) }
    """
    result = engine.explain(with_random_weights(text), PICTURES, "c", "gradient", preprocess="unit")
    assert result.attribution.shape == (3, 1, 17, 15, 3)
    assert result.png()


def test_names_that_the_network_has_already_are_no_trouble(engine):
    taken = onnx.ModelProto()
    taken.CopyFrom(MODEL)
    taken.graph.input[0].name = "channel"
    taken.graph.node[0].input[0] = "channel"
    taken.graph.output[0].name = "attribution"
    taken.graph.node[-1].output[0] = "attribution"
    expected = engine.explain(MODEL, PICTURES, "r2", preprocess="unit")
    same(expected, engine.explain(taken, PICTURES, "r2", preprocess="unit"))


def test_labels_belong_to_the_class_score(engine):
    stored = set_metadata(MODEL, "onnxplain.labels", '["a", "b", "c", "d", "e"]')
    assert engine.explain(stored, PICTURES).labels == ("a", "b", "c", "d", "e")
    assert engine.explain(stored, PICTURES, labels=["x", "y"]).labels == ("x", "y")
    assert engine.explain(stored, PICTURES, "r2", labels=["x"]).labels == ()
    with pytest.raises(UnsupportedModel, match=r"onnxplain\.labels"):
        engine.explain(set_metadata(MODEL, "onnxplain.labels", "{}"), PICTURES)


def test_values_that_are_not_finite_are_kept_and_told(engine):
    batch = np.ones((1, 3, 9, 9), np.float32)
    batch[0, 0, 4, 4] = np.inf
    result = engine.explain(MODEL, batch, "r2", units=[0, 1, 2, 3, 4, 5])
    assert not np.isfinite(result.score).all()
    assert any("NaN or infinite" in note for note in result.notes)


def test_a_model_comes_as_path_bytes_or_proto(engine, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(MODEL.SerializeToString())
    expected = engine.explain(MODEL, PICTURES, "r2")
    for source in (path, str(path), path.read_bytes()):
        same(expected, engine.explain(source, PICTURES, "r2"))
    same(expected, explain(MODEL, PICTURES, "r2"))


def test_a_file_that_changes_is_read_again(engine, tmp_path):
    path = tmp_path / "net.onnx"
    for seed in (0, 5):
        model = classifier(seed=seed)
        path.write_bytes(model.SerializeToString())
        same(engine.explain(model, PICTURES, "r2"), engine.explain(path, PICTURES, "r2"))


def test_a_changed_proto_is_another_model(engine):
    model = classifier()
    before = engine.explain(model, PICTURES, "r2", units=[0])
    model.CopyFrom(classifier(seed=5))
    after = engine.explain(model, PICTURES, "r2", units=[0])
    assert not np.allclose(before.attribution, after.attribution)
    same(before, engine.explain(classifier(), PICTURES, "r2", units=[0]))


def test_a_plan_is_made_once(monkeypatch):
    from onnxplain.engine.runtime import plans

    made = []
    real = plans.rewrite
    monkeypatch.setattr(plans, "rewrite", lambda *a: made.append(a) or real(*a))
    engine = Engine("cpu", threads=1)
    for _ in range(3):
        engine.explain(MODEL, PICTURES, "r2")
    assert len(made) == 1
    engine.explain(MODEL, PICTURES, "r2", "gradient")
    assert len(made) == 2
    nothing_kept = Engine("cpu", threads=1, cache_bytes=0)
    for _ in range(2):
        nothing_kept.explain(MODEL, PICTURES, "r2")
    assert len(made) == 4


def test_threads_share_an_engine(engine):
    expected = engine.explain(MODEL, PICTURES, "r2", units="all")
    results = []

    def work():
        results.append(engine.explain(MODEL, PICTURES, "r2", units="all"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        same(expected, result)


def test_no_time_left_is_cancelled(engine):
    with pytest.raises(Cancelled, match="seconds"):
        engine.explain(MODEL, PICTURES, timeout=0)


def test_the_caller_can_give_up_between_chunks():
    cancel = threading.Event()
    engine = Engine("cpu", threads=1, memory_bytes=1)
    done = []

    def progress(count, total):
        done.append(count)
        if count == 2:
            cancel.set()

    with pytest.raises(Cancelled, match="cancelled"):
        engine.explain(MODEL, PICTURES, "r2", units="all", cancel=cancel, progress=progress)
    assert done == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"layer": "r3"}, UnknownLayer, "'r3'"),
        ({"method": "deconv"}, UnknownMethod, "'deconv'"),
        ({"layer": "r2", "units": [8]}, ChannelError, "no channel 8 in layer 'r2'.*0 to 7"),
        ({"units": "top:6"}, ChannelError, "5 channels"),
        ({"units": "some"}, OptionError, "some"),
        ({"seed_value": "two"}, OptionError, "two"),
        ({"unpool": "magic"}, OptionError, "magic"),
        ({"to": "r9"}, UnknownLayer, "r9"),
        ({"preprocess": "imagnet"}, OptionError, "imagnet"),
        ({"images": ["nothing.png"]}, MissingFile, "nothing.png"),
        ({"images": b"junk"}, PictureError, "picture"),
        ({"model": "nothing.onnx"}, MissingFile, "nothing.onnx"),
        ({"model": b"junk"}, CorruptModel, "ONNX"),
        ({"postion": "max"}, TypeError, "postion"),
    ],
)
def test_what_is_wrong_is_named(engine, arguments, error, named):
    given = {"model": MODEL, "images": PICTURES, **arguments}
    with pytest.raises(error, match=named):
        engine.explain(**given)
