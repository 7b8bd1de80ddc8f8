"""The figures of invariance and training, read back from their artists."""

import numpy as np
import onnx
import pytest
from artefacts import network
from engine.painted import texts_of
from engine.viewed import NET, UNIT
from matplotlib import pyplot
from matplotlib.figure import Figure

from onnxplain.engine import Engine
from onnxplain.graphops.errors import OptionError

LABELS = ["ant", "bee", "cow, a kind of cattle", "dog"]
ROUND = {1.0, 1.5, 2.0, 2.5, 3.0, 4.5, 5.0, 9.0, 10.0}


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


@pytest.fixture(scope="module")
def curves(engine, model, pictures):
    return engine.invariance(model, pictures[1], ["r", "s", "f"], 2, preprocess=UNIT, labels=LABELS)


def charts_of(figure):
    """Return the axes of charts, below three of pictures: those of distances and of values."""
    figure.canvas.draw()
    assert len(figure.axes) == 9
    return figure.axes[3:6], figure.axes[6:]


def test_charts_show_the_curves(curves):
    """Distances above probabilities, one column per change, with the units of both axes."""
    above, below = charts_of(curves.figure())
    units = ("translation (of the height, downwards)", "scale (times)", "rotation (degrees)")
    for top, bottom, one, unit in zip(above, below, curves.curves, units, strict=True):
        assert top.get_window_extent().y0 > bottom.get_window_extent().y1
        assert [ax.get_xlabel() for ax in (top, bottom)] == [unit, unit]
        assert [ax.get_ylabel() for ax in (top, bottom)] == ["distance", "probability"]
        for line, values in zip(top.get_lines(), one.distance.values(), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), one.amounts)
            np.testing.assert_array_equal(line.get_ydata(), values)
        (line,) = bottom.get_lines()
        np.testing.assert_array_equal(line.get_ydata(), one.probability)
        names = [text.get_text() for text in top.get_legend().get_texts()]
        assert names == list(one.distance)
        assert bottom.get_legend() is None
    for row in (above, below):
        assert len({ax.get_ylim() for ax in row}) == 1  # so that changes can be compared


def test_pictures_show_the_changes_over_their_amounts(curves):
    """Each picture is in the middle of its fifth of the amounts, and is changed by that."""
    figure = curves.figure()
    above, _ = charts_of(figure)
    for ax, chart, one in zip(figure.axes[:3], above, curves.curves, strict=True):
        low, high = chart.get_xlim()
        assert len(ax.get_images()) == 5
        for image, amount in zip(ax.get_images(), one.pictures, strict=True):
            box, below = image.get_window_extent(), chart.get_window_extent()
            share = ((box.x0 + box.x1) / 2 - below.x0) / below.width
            assert share == pytest.approx((amount - low) / (high - low), abs=0.01)
    moved = list(curves.curves[0].pictures.values())
    assert list(curves.curves[0].pictures) == pytest.approx([-0.2, -0.1, 0, 0.1, 0.2])
    still = moved[2].astype(float)
    rows, down = len(still), 0.2 * len(still)  # 4.8 rows: each is between two of the picture
    first = int(np.ceil(down))
    between = np.stack([still[: rows - first], still[1 : rows - first + 1]])
    wanted = np.average(between, axis=0, weights=[1 - first + down, first - down])
    np.testing.assert_allclose(moved[4][first:], wanted, atol=1)
    turned = curves.curves[2].pictures[180.0]
    np.testing.assert_allclose(turned.astype(int), moved[2][::-1, ::-1], atol=2)


def test_ticks_are_round(curves):
    above, below = charts_of(curves.figure())
    for ax in (*above, *below):
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            places = axis.get_majorticklocs()
            inside = [p for p in places if limits[0] - 1e-9 <= p <= limits[1] + 1e-9]
            assert 3 <= len(inside) <= 7
            step = places[1] - places[0]
            assert round(step / 10 ** np.floor(np.log10(step) + 1e-9), 6) in ROUND
            np.testing.assert_allclose(places / step, np.rint(places / step), atol=1e-6)
    assert {0, 90, 180, 270, 360} <= set(above[2].get_xticks())


@pytest.mark.parametrize("names", [list("ab"), list("abcdefghi"), ["_hidden", "y" * 200, "$x$"]])
def test_no_curve_runs_under_its_legend(names):
    """However many there are, or long their names, of which one that is cut has an ellipsis."""
    from onnxplain.engine.views.transformations import Curve, Invariance

    x = np.linspace(-1, 1, 50)
    distance = {name: np.full(50, 0.9 + i / 100) for i, name in enumerate(names)}
    one = Curve("translation", x, distance, np.full(50, 0.5))
    found = Invariance(class_index=0, label="ant", curves=(one,) * 3, untouched=0.5)
    figure = found.figure()
    figure.canvas.draw()
    for ax in figure.axes[:3]:
        box = ax.get_legend().get_window_extent()
        assert box.y1 <= ax.get_window_extent().y1 + 1
        assert box.x1 <= ax.get_window_extent().x1 + 1
        for line in ax.get_lines():
            assert ax.transData.transform(line.get_xydata())[:, 1].max() < box.y0
        shown = [text.get_text() for text in ax.get_legend().get_texts()]
        for name, text in zip(names, shown, strict=True):
            assert text == name or (len(name) > 100 and text.endswith("…"))
    if "y" * 200 in names:  # wrapped or cut by the page, but named below
        assert any(text.startswith("Layers: _hidden") for text in texts_of(figure))


@pytest.mark.parametrize(("width", "columns"), [(2.0, 1), (3.3, 1), (4.5, 2), (6.9, 3), (12.0, 3)])
def test_charts_of_a_given_width_keep_their_texts_apart(curves, width, columns):
    """They take fewer columns where it is small, the charts of a change below each other."""
    figure = curves.figure(width=width)
    figure.canvas.draw()
    lefts = {round(ax.get_window_extent().x0) for ax in figure.axes}
    assert len(lefts) == columns
    boxes = [text.get_window_extent() for text in figure.texts]
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            boxes.append(axis.label.get_window_extent())
            boxes += [
                label.get_window_extent()
                for place, label in zip(
                    axis.get_majorticklocs(), axis.get_ticklabels(), strict=True
                )
                if low <= place <= high and label.get_text()
            ]
        if ax.get_legend():
            boxes.append(ax.get_legend().get_window_extent())
    boxes = [box for box in boxes if box.width > 1]
    assert len(boxes) > 50
    for index, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0, box
        assert box.x1 <= figure.bbox.x1, box
        assert figure.bbox.y0 <= box.y0, box
        assert box.y1 <= figure.bbox.y1, box
        for other in boxes[:index]:
            apart = (
                min(box.x1, other.x1) <= max(box.x0, other.x0) + 0.5
                or min(box.y1, other.y1) <= max(box.y0, other.y0) + 0.5
            )
            assert apart, (box, other)
    first = [ax.get_window_extent() for ax in figure.axes[: 3 * columns : columns]]
    assert len({round(box.x0) for box in first}) == 1
    assert [box.y0 for box in first] == sorted((box.y0 for box in first), reverse=True)


def test_the_title_says_the_class_and_its_probability(curves):
    title = f"Translated, scaled and rotated · {LABELS[2]}, probability {curves.untouched:.3g}"
    assert title in texts_of(curves.figure())
    assert title not in texts_of(curves.figure(title=False))


def test_one_chart_in_axes_of_one_s_own(curves):
    ax = Figure().add_subplot()
    assert curves.plot(ax, "rotation", "probability") is ax
    (line,) = ax.get_lines()
    np.testing.assert_array_equal(line.get_ydata(), curves.curves[2].probability)
    with pytest.raises(OptionError, match="no panel 'shear_distance'.*scale_distance"):
        curves.plot(ax, "shear")


def test_without_axes_pyplot_s_are_taken(curves):
    figure = pyplot.figure()
    try:
        assert curves.plot() is figure.gca()
        assert len(figure.gca().get_lines()) == 3
    finally:
        pyplot.close(figure)


def test_each_panel_is_a_file(curves, tmp_path):
    files = curves.save_panels(tmp_path / "panels", "svg")
    assert sorted(path.name for path in files) == sorted(
        f"{change}_{what}.svg"
        for change in ("translation", "scale", "rotation")
        for what in ("pictures", "distance", "probability")
    )
    assert all(path.read_bytes().startswith(b"<?xml") for path in files)


@pytest.fixture(scope="module")
def trained(engine, tmp_path_factory, pictures):
    folder = tmp_path_factory.mktemp("checkpoints")
    names = ["epoch_1", "epoch_2_with_a_name_that_no_panel_has_the_room_for", "epoch_3"]
    for seed, name in enumerate(names):
        onnx.save(network(NET, seed=seed), folder / f"{name}.onnx")
    paths = [folder / f"{name}.onnx" for name in names]
    return engine.training(paths, pictures[0], "s", "gradient", [4, 1], preprocess=UNIT)


def test_rows_are_channels_and_columns_checkpoints(trained):
    figure = trained.figure()
    panels = [ax for ax in figure.axes if ax.get_window_extent().height > 50]
    assert len(panels) == 6
    for number, ax in enumerate(panels):
        row, column = divmod(number, 3)
        values = trained.explanations[column].attribution[0, row].transpose(1, 2, 0)
        limit = np.percentile(np.abs(values), 99.5) or 1.0
        expected = np.rint(127.5 + 127.5 * np.clip(values / limit, -1, 1))
        shown = ax.get_images()[-1].get_array()
        np.testing.assert_allclose(np.asarray(shown, float), expected, atol=1)
        assert round(ax.get_window_extent().y0) == round(panels[3 * row].get_window_extent().y0)
        assert round(ax.get_window_extent().x0) == round(panels[column].get_window_extent().x0)


def test_every_panel_names_its_channel_and_checkpoint(trained):
    shown = texts_of(trained.figure())
    long = trained.checkpoints[1]
    for row, channel in enumerate((4, 1)):
        for one, name in zip(trained.explanations, trained.checkpoints, strict=True):
            if name != long:
                score = f"{one.score[0, row]:.3g}".replace("-", "−")
                assert f"channel {channel} · {name}, score {score}" in shown
        (cut,) = (t for t in shown if t.startswith(f"channel {channel} · {long[:5]}") and "…" in t)
        number = cut.partition("… ")[2]
        assert any(t.startswith(f"{number} channel {channel} · {long}") for t in shown)
    assert any("of s through training" in text for text in shown)


def test_one_projection_in_axes_of_one_s_own(trained):
    panels = [ax for ax in trained.figure().axes if ax.get_window_extent().height > 50]
    for unit, checkpoint, number in ((0, 0, 0), (1, -1, 5), (1, 1, 4)):
        ax = trained.plot(Figure().add_axes((0, 0, 1, 1)), unit, checkpoint)
        shown = np.asarray(ax.get_images()[-1].get_array(), float)
        np.testing.assert_allclose(shown, panels[number].get_images()[-1].get_array(), atol=1)
    for unit, checkpoint in ((2, 0), (-1, 0), (0, 3), (0, -4)):
        with pytest.raises(OptionError, match="no panel"):
            trained.plot(Figure().add_subplot(), unit, checkpoint)


def test_a_class_is_named_by_its_label(engine, model, pictures):
    found = engine.training(
        [model], pictures[0], None, "gradient", [2], preprocess=UNIT, labels=LABELS
    )
    shown = texts_of(found.figure())
    assert any(text.endswith("of cow through training") for text in shown)
    assert any(text.startswith("cow · net, score") for text in shown)


def test_signals_and_volumes_through_training(engine):
    for shape, kind in ((("3, 40", "3, 5")), ("1, 6, 9, 9", "1, 3, 3, 3")):
        text = f"""
        <ir_version: 8, opset_import: ["": 17]>
        net (float[N, {shape}] x, float[4, {kind}] w) => (float[N, 4, K] y)
        {{ c = Conv (x, w) y = Relu (c) }}
        """.replace(", K]", ", A]" if shape == "3, 40" else ", A, B, C]")
        nets = [network(text, seed=seed) for seed in (0, 1)]
        sizes = [int(n) for n in shape.split(", ")]
        signal = np.random.default_rng(0).normal(size=(1, *sizes)).astype(np.float32)
        found = engine.training(nets, signal, "y", "gradient", [2], names=["a", "b"])
        assert any("channel 2 · a" in text for text in texts_of(found.figure()))
        assert found.png()
