"""The result object: how it draws itself, and that files are written whole or not at all."""

import io
import os
import time
from dataclasses import replace

import numpy as np
import pytest
from onnxplain.engine.drawing.figure import Note, Panel, figure
from PIL import Image

from onnxplain.engine import PRESETS, Explanation
from onnxplain.graphops.errors import OptionError, OutputError

RNG = np.random.default_rng(0)


def explanation(images=1, units=2, shape=(3, 16, 16), pictures=True, **more):
    return Explanation(
        attribution=RNG.standard_normal((images, units, *shape)).astype(np.float32),
        score=np.arange(images * units, dtype=np.float32).reshape(images, units),
        channels=np.tile(np.arange(units), (images, 1)),
        position=None,
        layer="conv5",
        to="x",
        method="deconvnet",
        pictures=tuple(RNG.integers(0, 256, (images, 16, 16, 3), np.uint8)) if pictures else (),
        **more,
    )


def test_drawing_is_the_same_each_time():
    drawn = explanation()
    np.testing.assert_array_equal(np.asarray(drawn.draw()), np.asarray(drawn.draw()))


def test_a_row_for_each_picture_and_columns_for_units():
    one, three = explanation().draw(), explanation(images=3).draw()
    wide = explanation(units=4).draw()
    assert three.width == one.width
    assert three.height > 2 * one.height
    assert wide.height == one.height
    assert wide.width > 1.5 * one.width


def test_many_units_take_several_rows_without_overlays():
    drawn = explanation(units=100).draw()
    assert 0.5 < drawn.width / drawn.height < 2
    assert drawn.width < 4000


def test_a_thousand_units_of_many_pictures_stay_a_picture_of_sane_size():
    drawn = explanation(images=4, units=500, shape=(1, 16, 16)).draw()
    assert drawn.width * drawn.height < 2e8


@pytest.mark.parametrize("shape", [(1, 16, 16), (16, 16, 3), (7, 4, 4), (16, 16)])
@pytest.mark.parametrize("pictures", [True, False])
def test_every_kind_of_map_can_be_drawn(shape, pictures):
    assert explanation(shape=shape, pictures=pictures).draw().mode == "RGB"


def test_a_vector_cannot_be_drawn():
    with pytest.raises(OptionError, match="cannot be drawn"):
        explanation(shape=(10,)).draw()


def test_the_projection_s_colours_are_the_picture_s_for_a_bgr_network():
    values = np.zeros((1, 1, 3, 16, 16), np.float32)
    values[:, :, 0] = 1.0  # the network's first channel
    colours = {}
    for name in ("raw", "raw_bgr"):
        made = replace(explanation(units=1), attribution=values, preprocess=PRESETS[name])
        pixels = np.asarray(made.draw()).reshape(-1, 3)
        colours[name] = set(map(tuple, np.unique(pixels, axis=0).tolist()))
    red, blue = (255, 128, 128), (128, 128, 255)
    assert red in colours["raw"] - colours["raw_bgr"]
    assert blue in colours["raw_bgr"] - colours["raw"]


def test_class_names_are_used_where_there_are_any():
    plain, named = explanation(units=1), explanation(units=1, labels=("cat", "dog"))
    assert plain.captions(0, 0)[0] == "channel 0 (score 0)"
    assert named.captions(0, 0)[0] == "cat (score 0)"


def test_the_longest_caption_that_fits_is_written():
    picture = Image.new("RGB", (100, 20), "blue")

    def ink(*captions):
        page = figure([[Panel(captions, (picture,))]], "", [Note("")])
        return np.asarray(page)

    np.testing.assert_array_equal(ink("a" * 90, "short", "s"), ink("short"))
    cut = ink("a" * 90)
    assert cut.shape == ink("short").shape
    assert (cut[:, 125:] == 255).all(), "a caption that is too long is cut at its panel's edge"


def test_a_caption_of_a_million_characters_is_cut_at_once():
    picture = Image.new("RGB", (100, 20), "blue")
    begun = time.monotonic()
    drawn = figure([[Panel(("a" * 10**6,), (picture,))]], "b" * 10**6, [Note("c\nd" * 10**6)])
    assert time.monotonic() - begun < 5
    assert drawn.width < 2000


def test_a_title_is_never_wider_than_its_page():
    panel = Panel(("p",), (Image.new("RGB", (20, 20), "blue"),))
    page = np.asarray(figure([[panel]], "through training, epoch by epoch", [Note("")]))
    assert page.shape[1] > 200
    assert (page[:, -20:] == 255).all(), "the margin stays empty"


def test_remarks_are_wrapped_below_the_page_and_of_many_the_rest_is_counted():
    panel = Panel(("p",), (Image.new("RGB", (500, 20), "blue"),))

    def page(*remarks):
        return figure([[panel]], "t", [Note("n")], remarks)

    plain, one, long = page(), page("odd"), page("odd " * 60)
    assert plain.width == one.width >= long.width - 40
    assert plain.height < one.height < long.height
    np.testing.assert_array_equal(np.asarray(page("odd: do this")), np.asarray(one))
    assert page(*["odd"] * 9).height == page(*["odd"] * 8).height > page(*["odd"] * 5).height
    assert (np.asarray(page("x" * 10**5))[:, -20:] == 255).all(), "a long word is cut"


def test_an_empty_place_stays_white():
    picture = Image.new("RGB", (50, 50), "blue")
    panel = Panel(("p",), (picture,))
    page = np.asarray(figure([[panel, panel], [None, panel]], "t", [Note("n")]))
    blue = (page == (0, 0, 255)).all(axis=2)
    assert blue.sum() == 3 * 50 * 50


def test_a_notebook_shows_the_drawing():
    drawn = explanation()
    shown = Image.open(io.BytesIO(drawn._repr_png_()))
    np.testing.assert_array_equal(np.asarray(shown), np.asarray(drawn.draw()))


def test_save_writes_a_png_whatever_the_name(tmp_path):
    drawn = explanation()
    drawn.save(tmp_path / "out.dat")
    with Image.open(tmp_path / "out.dat") as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), np.asarray(drawn.draw()))


def test_save_npz_holds_every_array(tmp_path):
    saved = explanation(images=2, units=3, labels=("a", "b"), notes=("assumed",))
    places = RNG.integers(0, 9, (2, 3, 2)), RNG.integers(0, 9, (2, 3, 4))
    saved = replace(saved, position=places[0], box=places[1])
    saved.save_npz(tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as arrays:
        for name in ("attribution", "score", "channels", "position", "box"):
            np.testing.assert_array_equal(arrays[name], getattr(saved, name))
        assert (str(arrays["layer"]), str(arrays["method"])) == ("conv5", "deconvnet")
        assert arrays["labels"].tolist() == ["a", "b"]
        assert arrays["notes"].tolist() == ["assumed"]


@pytest.mark.parametrize("save", ["save", "save_npz"])
def test_a_folder_that_is_not_there_is_an_output_error(tmp_path, save):
    with pytest.raises(OutputError, match="nowhere"):
        getattr(explanation(), save)(tmp_path / "nowhere" / "out.png")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("save", ["save", "save_npz"])
def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, save, monkeypatch):
    path = tmp_path / "out.png"
    path.write_bytes(b"before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        getattr(explanation(), save)(path)
    assert os.listdir(tmp_path) == ["out.png"]
    assert path.read_bytes() == b"before"


def test_what_cannot_be_drawn_leaves_no_file(tmp_path):
    with pytest.raises(OptionError):
        explanation(shape=(10,)).save(tmp_path / "out.png")
    assert os.listdir(tmp_path) == []
