"""The result object: how it draws itself, and that files are written whole or not at all."""

import os
from dataclasses import replace

import numpy as np
import pytest

from onnxplain.engine import Explanation
from onnxplain.engine.drawing import Style
from onnxplain.engine.drawing.layout import laid_out
from onnxplain.engine.drawing.lettering import Lettering
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


def size(one, **style):
    """The width and height in inches of an explanation's figure."""
    return one.figure(**style).get_size_inches()


def test_drawing_is_the_same_each_time():
    drawn = explanation()
    assert drawn.png() == drawn.png()


def test_a_row_for_each_picture_and_columns_for_units():
    one, three, wide = size(explanation()), size(explanation(images=3)), size(explanation(units=3))
    assert three[0] == one[0]
    assert three[1] > 2 * one[1]
    assert wide[0] > one[0]
    rows = explanation(units=4).page(Style()).rows
    assert [len(row) for row in rows] == [5, 5]
    assert rows[1][0] is None


def test_columns_are_the_panels_of_a_row():
    page = explanation(units=6).page(Style(columns=3))
    assert [len(row) for row in page.rows] == [3] * 6
    page = explanation(units=40).page(Style(columns=9))
    assert [len(row) for row in page.rows] == [9] * 5
    page = explanation(images=6, units=1).page(Style(columns=6))
    assert [len(row) for row in page.rows] == [6] * 3


def test_many_units_take_several_rows_without_overlays():
    width, height = size(explanation(units=100))
    assert 0.5 < width / height < 2
    assert width < 20
    assert len(explanation(units=100).page(Style()).panels) == 101


def test_a_thousand_units_of_many_pictures_stay_a_picture_of_sane_size():
    page = explanation(images=4, units=500, shape=(1, 16, 16)).page(Style())
    layout = laid_out(page, Style(), Lettering(""))
    assert layout.width * layout.height * 150**2 < 2e8


@pytest.mark.parametrize("shape", [(1, 16, 16), (16, 16, 3), (7, 4, 4), (16, 16)])
@pytest.mark.parametrize("pictures", [True, False])
def test_every_kind_of_map_can_be_drawn(shape, pictures):
    assert explanation(shape=shape, pictures=pictures).png().startswith(b"\x89PNG")


def test_a_vector_cannot_be_drawn():
    vector = explanation(shape=(10,))
    for draw in (vector.figure, vector.png, vector.plot):
        with pytest.raises(OptionError, match="cannot be drawn"):
            draw()


def test_class_names_are_used_where_there_are_any():
    plain, named = explanation(units=1), explanation(units=1, labels=("cat", "dog"))
    assert plain.captions(0, 0)[0] == "channel 0 (score 0)"
    assert named.captions(0, 0)[0] == "cat (score 0)"


def test_a_notebook_shows_the_drawing():
    drawn = explanation()
    assert drawn._repr_png_() == drawn.png()


def test_the_suffix_names_the_kind_of_file(tmp_path):
    drawn = explanation()
    with pytest.raises(OptionError, match="does not end in"):
        drawn.save(tmp_path / "out.dat")
    assert os.listdir(tmp_path) == []
    drawn.save(tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes() == drawn.png()


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
