"""What people look at, against the network run directly and slow loops."""

import threading

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from artefacts import network
from engine.viewed import NET, UNIT, pixels, values
from PIL import Image

from onnxplain.engine import (
    VIEWS,
    Engine,
    SideBySide,
)
from onnxplain.engine.drawing import Style
from onnxplain.engine.views.changed_pictures import CHANGES, changed
from onnxplain.graphops.errors import (
    AnswerTooLarge,
    Cancelled,
    ChannelError,
    OptionError,
    PictureError,
    UnknownLayer,
)


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


def probability(model, picture, class_):
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    x = (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    powers = np.exp(session.run(None, {"x": x})[0][0].astype(np.float64))
    return powers[class_] / powers.sum()


def test_covering_is_a_slow_loop(engine, model, pictures):
    found = engine.occlusion(
        model, pictures[0], "s", 2, class_index=1, window=6, stride=5, preprocess=UNIT
    )
    rows, columns = range(0, 24, 5), range(0, 20, 5)
    rows = [r for r in rows if r - 5 + 6 < 24]
    columns = [c for c in columns if c - 5 + 6 < 20]
    assert found.probability.shape == found.strength.shape == (len(rows), len(columns))
    for i, r in enumerate(rows):
        for j, c in enumerate(columns):
            picture = pixels(pictures[0]).copy()
            picture[r : r + 6, c : c + 6] = 127
            assert found.probability[i, j] == pytest.approx(
                probability(model, picture, 1), rel=1e-4
            )
            strength = values(model, "s", picture)[2].sum()
            assert found.strength[i, j] == pytest.approx(strength, rel=1e-4)
    whole = probability(model, pixels(pictures[0]), 1), values(model, "s", pixels(pictures[0]))[2]
    assert found.untouched == pytest.approx((whole[0], whole[1].sum()), rel=1e-4)
    with pytest.raises(ChannelError, match="no class 9"):
        engine.occlusion(model, pictures[0], "s", 2, class_index=9, preprocess=UNIT)


def test_the_curves_of_invariance(engine, model, pictures):
    found = engine.invariance(model, pictures[1], ["r", "s"], 2, preprocess=UNIT)
    assert [one.change for one in found.curves] == list(CHANGES)
    untouched = pixels(pictures[1])
    for one in found.curves:
        for step in (0, 7, 24):
            picture = changed(untouched, one.change, one.amounts[step])
            assert one.probability[step] == pytest.approx(probability(model, picture, 2), rel=1e-4)
            for layer, distance in one.distance.items():
                before, after = (values(model, layer, p) for p in (untouched, picture))
                expected = np.linalg.norm(after - before) / np.linalg.norm(before)
                assert distance[step] == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert found.curves[0].distance["r"][12] == 0  # not moved
    assert found.curves[1].amounts[8] == pytest.approx(1)
    assert found.curves[1].distance["s"][8] == pytest.approx(0, abs=1e-6)
    assert found.untouched == pytest.approx(probability(model, untouched, 2), rel=1e-4)


def test_changes_of_a_picture():
    picture = np.zeros((9, 9, 3), np.uint8)
    picture[2, 4] = 255
    assert changed(picture, "translation", 3 / 9)[5, 4, 0] >= 250
    turned = changed(picture, "rotation", 90)
    assert max(turned[4, 6, 0], turned[4, 2, 0]) >= 250
    assert changed(picture, "rotation", 180)[6, 4, 0] >= 250
    assert changed(picture, "scale", 2.0)[0, 4, 0] > 100
    np.testing.assert_array_equal(changed(picture, "scale", 1.0), picture)
    border = np.full((4, 4, 3), 80, np.uint8)
    assert np.all(changed(border, "translation", 0.5) == 80)


def test_through_training_takes_the_last_checkpoint_s_channels(engine, tmp_path, pictures):
    paths = []
    for seed in range(3):
        paths.append(tmp_path / f"epoch_{seed}.onnx")
        onnx.save(network(NET, seed=seed), paths[-1])
    found = engine.training(paths, pictures[0], "s", units="top:2", preprocess=UNIT)
    last = engine.explain(paths[2], pictures[0], "s", units="top:2", preprocess=UNIT)
    assert found.checkpoints == ("epoch_0", "epoch_1", "epoch_2")
    for explanation, path in zip(found.explanations, paths, strict=True):
        np.testing.assert_array_equal(explanation.channels, last.channels)
        again = engine.explain(
            path, pictures[0], "s", units=last.channels[0].tolist(), preprocess=UNIT
        )
        np.testing.assert_array_equal(explanation.attribution, again.attribution)
    assert found.arrays()["attribution"].shape == (3, 2, 3, 24, 20)
    with pytest.raises(OptionError, match="no checkpoints"):
        engine.training([], pictures[0], "s")


def test_pictures_have_their_files_names(engine, model, pictures):
    several = engine.explain(model, pictures[:3], "s", units=[2], preprocess=UNIT)
    assert several.names == tuple(path.name for path in pictures[:3])
    assert several.arrays()["names"].tolist() == list(several.names)
    assert [several.name(i) for i in range(3)] == list(several.names)
    arrays = [pixels(path) for path in pictures[:3]]
    plain = engine.explain(model, arrays, "s", units=[2], preprocess=UNIT)
    assert plain.names == ("", "", "")
    assert "names" not in plain.arrays()
    called = engine.explain(model, arrays, "s", units=[2], preprocess=UNIT, names=list("abc"))
    assert called.names == tuple("abc")
    np.testing.assert_array_equal(called.attribution, several.attribution)
    assert called.png() != plain.png()
    alone = engine.explain(model, pictures[0], "s", units=[2], preprocess=UNIT)
    assert alone.name(0) == ""
    with pytest.raises(OptionError, match="2 names for 3 pictures"):
        engine.explain(model, arrays, "s", preprocess=UNIT, names=list("ab"))


def test_names_of_arrays_are_drawn_and_long_ones_cut(engine, model):
    x = np.random.default_rng(0).random((3, 3, 24, 20)).astype(np.float32)
    pages = [
        engine.maps(model, x, methods, "s", [1], names=names).png()
        for methods in (["gradient"], ["gradient", "lrp"])
        for names in (list("abc"), list("abd"), ["a" * 500] * 3)
    ]
    assert len(set(pages)) == 6
    several = engine.maps(model, x, ["gradient", "lrp"], "s", [1], names=["x", "y", "z"])
    captions = several.explanations[0].named(("channel 1",), 2)
    assert captions == ("channel 1 · z",)


def test_many_pictures_of_one_unit_share_rows(engine, model, pictures):
    """A page of 16 pictures in one column would be read by nobody."""
    arrays = [pixels(pictures[0])] * 16
    found = engine.explain(model, arrays, "s", units=[2], preprocess=UNIT)
    width, height = found.figure().get_size_inches()
    assert 0.5 < width / height < 2
    few = engine.explain(model, arrays[:2], "s", units=[2], preprocess=UNIT)
    assert few.figure().get_size_inches()[0] < width


def test_checkpoints_of_different_networks_are_told_apart(engine, tmp_path, pictures):
    texts = {
        "two": NET,
        "renamed": NET.replace(" s ", " renamed ").replace("(s)", "(renamed)"),
        "other": """
        <ir_version: 8, opset_import: ["": 17]>
        other (float[N, 3, 9, 7] x, float[6, 3, 3, 3] w) => (float[N, 6, 7, 5] s)
        { s = Conv (x, w) }
        """,
    }
    for name, text in texts.items():
        onnx.save(network(text), tmp_path / f"{name}.onnx")
    texts["grey"] = NET.replace("[N, 3, 24, 20]", "[N, 1, 24, 20]").replace("[5, 3,", "[5, 1,")
    onnx.save(network(texts["grey"]), tmp_path / "grey.onnx")
    for name, error, message in (
        ("grey", PictureError, "checkpoint 'grey': "),
        ("renamed", UnknownLayer, "checkpoint 'renamed': no layer 's'"),
        (
            "other",
            OptionError,
            r"'other' has .* \[3, 9, 7\], and 'two' of shape \[3, 24, 20\]: they are",
        ),
    ):
        paths = [tmp_path / f"{one}.onnx" for one in ("two", name, "two")]
        with pytest.raises(error, match=message):
            engine.training(paths, pictures[0], "s", units=[1], preprocess=UNIT)


def test_methods_side_by_side(engine, model, pictures):
    methods = ("gradient", "grad_cam", "lrp", "occlusion", "smoothgrad")
    found = engine.maps(model, pictures[:2], methods, samples=3, preprocess=UNIT)
    rows = found.page(Style()).rows
    assert [len(row) for row in rows] == [7, 5] * 2  # two pictures of two rows each
    assert [row[0] is None for row in rows] == [False, True] * 2
    arrays = found.arrays()
    for method in methods:
        own = {"samples": 3} if method == "smoothgrad" else {}
        alone = engine.explain(model, pictures[:2], method=method, preprocess=UNIT, **own)
        np.testing.assert_array_equal(arrays[f"{method}.attribution"], alone.attribution)
    with pytest.raises(OptionError, match="takes no steps"):
        engine.maps(model, pictures[0], ["gradient", "lrp"], steps=3, preprocess=UNIT)
    vector = engine.explain(model, pictures[0], to="f", method="gradient", preprocess=UNIT)
    with pytest.raises(OptionError, match="not a picture"):
        SideBySide((vector,)).figure()


def test_every_view_shows_itself_and_saves(engine, model, pictures, tmp_path):
    (tmp_path / "large.png").write_bytes(b"")
    Image.fromarray(np.zeros((30, 20, 3), np.uint8)).save(tmp_path / "large.png")
    asked = {
        "maps": (model, pictures[0], {"methods": ["gradient"]}),
        "top": (model, pictures, {"layer": "s", "channels": [1]}),
        "training": ([model], pictures[0], {"layer": "s"}),
        "invariance": (model, pictures[0], {"layers": ["s"]}),
        "occlusion": (model, pictures[0], {"window": 12}),
        "slide": (model, tmp_path / "large.png", {}),
    }
    assert asked.keys() == VIEWS.keys()
    for name, (source, shown, options) in asked.items():
        found = VIEWS[name](engine, source, shown, preprocess=UNIT, labels=list("abcd"), **options)
        found.save(tmp_path / "view.png")
        assert (tmp_path / "view.png").read_bytes() == found._repr_png_()
        found.save_npz(tmp_path / "view.npz")
        with np.load(tmp_path / "view.npz", allow_pickle=False) as saved:
            arrays = found.arrays()
            assert set(saved) == set(arrays)
            assert all(np.array_equal(saved[key], arrays[key]) for key in arrays)


def test_views_take_pictures(engine, model):
    values = np.zeros((1, 3, 24, 20), np.float32)
    for view in ("occlusion", "invariance", "top"):
        with pytest.raises(PictureError, match="not a picture"):
            getattr(engine, view)(model, values, ["s"] if view == "invariance" else "s", 1)


def test_work_of_many_calls_has_one_end(engine, model, pictures):
    with pytest.raises(Cancelled):
        engine.limited(0.0).occlusion(model, pictures[0], preprocess=UNIT)
    cancel = threading.Event()
    limited = engine.limited(None, cancel)
    assert limited.occlusion(model, pictures[0], window=12, preprocess=UNIT).probability.size
    cancel.set()
    small = engine.limited(None, result_bytes=3 * pixels(pictures[0]).size * 4)
    assert small.maps(model, pictures[0], ["gradient"], "s", [0, 1, 2], preprocess=UNIT).score.size
    with pytest.raises(AnswerTooLarge, match="17,280 bytes"):
        small.maps(model, pictures[:2], ["gradient"], "s", [0, 1, 2], preprocess=UNIT)
    with pytest.raises(Cancelled):
        limited.slide(model, pictures[0], preprocess=UNIT)


def test_a_picture_too_large_for_the_memory_is_refused(model, pictures):
    """A picture is slid over in one run, so there is nothing to run one after the other."""
    with pytest.raises(OptionError, match="MiB are allowed: name a smaller size"):
        Engine("cpu", memory_bytes=1000).slide(model, pictures[0], preprocess=UNIT)


@pytest.mark.parametrize("view", ["invariance", "occlusion", "top", "training"])
def test_progress_reaches_its_total(engine, model, pictures, view):
    steps = []
    options = {
        "invariance": {"layers": ["s", "s", "r"]},
        "occlusion": {"layer": "s"},
        "top": {"layer": "s", "channels": [1]},
        "training": {"layer": "s", "units": [1]},
    }[view]
    source = [model] * 3 if view == "training" else model
    VIEWS[view](
        engine, source, pictures if view == "top" else pictures[0], preprocess=UNIT,
        progress=lambda *s: steps.append(s), **options,
    )  # fmt: skip
    assert steps[0][0] == 0
    assert steps[-1][0] == steps[-1][1]
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})


def test_one_number_per_picture_is_one_unit(engine, pictures):
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 3, 24, 20] x) => (float[N] y)
    { y = ReduceMax <axes = [1, 2, 3], keepdims = 0> (x) }
    """
    for view in ("occlusion", "invariance"):
        arguments = {"layers": ["y"]} if view == "invariance" else {}
        found = getattr(engine, view)(network(text), pictures[0], preprocess=UNIT, **arguments)
        assert (found.class_index, found.label, found.quantity) == (0, "y", "value")
    assert found.curves[0].probability.max() == np.float32(pixels(pictures[0]).max() / 255)


def test_a_dot_on_a_large_picture_is_told(engine):
    """A unit that sees 3 pixels of 64: DeconvNet's one position shows nothing, all of them do."""
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 3, H, W] x, float[4, 3, 3, 3] w, float[4, 2] d) => (float[N, 2] y)
    { c = Conv (x, w) r = Relu (c) g = GlobalMaxPool (r) f = Flatten (g) y = MatMul (f, d) }
    """
    net, picture = network(text), np.full((64, 40, 3), 99, np.uint8)

    def notes(pixels=picture, layer="r", **choices):
        return engine.explain(net, pixels, layer, preprocess=UNIT, **choices).notes

    assert "a unit of 'r' sees 3x3 pixels" in notes()[0]
    assert "--position all" in notes()[0]
    assert notes(position="all") == notes(position=(3, 4)) == notes(method="gradient") == ()
    assert notes(pixels=picture[:40]) == notes(layer="y") == notes(units="whole") == ()
