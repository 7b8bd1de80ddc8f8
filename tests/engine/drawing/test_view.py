"""What every result can do with its drawing: figures, axes, files, panels."""

import os
import re

import numpy as np
import pytest
from engine.painted import pixels_of, texts_of
from matplotlib.figure import Figure
from PIL import Image

from onnxplain.engine.drawing import Frame, Page, View, name_pictures, picture_panel
from onnxplain.graphops.errors import OptionError, OutputError


class Shown(View):
    """A view of pages of two pictures each, a red and a green one."""

    notes = ()
    main = "x"

    def __init__(self, pages=1, names=("red", "green")):
        self.count, self.names = pages, names

    def page(self, style):
        return self.pages(style)[0]

    def pages(self, style):
        return [Page(f"page {n + 1}", [self.panels(n)]) for n in range(self.count)]

    def panels(self, page):
        colours = ((255, 0, 0), (0, 255 - page, 0))
        frame = [Frame.whole((10, 20), np.full((10, 20, 3), c, np.uint8)) for c in colours]
        return [
            picture_panel((f"caption of {name}",), f, name)
            for name, f in zip(self.names, frame, strict=True)
        ]

    def arrays(self):
        return {"x": np.arange(3)}


def test_a_figure_is_matplotlib_s_and_belongs_to_no_window():
    from matplotlib import pyplot

    figure = Shown().figure(dpi=80)
    assert isinstance(figure, Figure)
    assert figure.dpi == 80
    assert pyplot.get_fignums() == []
    assert {"page 1", "caption of red", "caption of green"} <= set(texts_of(figure))
    assert "page 1" not in texts_of(Shown().figure(title=False))
    with pytest.raises(OptionError, match="no option 'colour'"):
        Shown().figure(colour="jet")


def test_a_panel_in_axes_of_one_s_own():
    figure = Figure(figsize=(6, 3), dpi=100)
    left, right = figure.subplots(1, 2)
    assert Shown().plot(left, panel=1) is left
    Shown().plot(right, panel=0, title=False)
    assert left.get_title() == "caption of green"
    assert right.get_title() == ""
    (image,) = right.get_images()
    assert np.asarray(image.get_array())[0, 0].tolist() == [255, 0, 0]
    with pytest.raises(OptionError, match="no panel 2: there are 2"):
        Shown().plot(left, panel=2)
    with pytest.raises(TypeError, match="ax must be one Axes of matplotlib, or None, not ndarray"):
        Shown().plot(figure.subplots(1, 2))


def test_without_axes_a_panel_is_drawn_into_pyplot_s():
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    try:
        assert Shown().plot() is pyplot.gca()
        assert pyplot.gca().get_title() == "caption of red"
    finally:
        pyplot.close("all")


@pytest.mark.parametrize(
    ("name", "magic"),
    [("a.png", b"\x89PNG"), ("a.jpg", b"\xff\xd8"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")],
)
def test_the_suffix_chooses_the_kind_of_file(tmp_path, name, magic):
    assert Shown().save(tmp_path / name) == [tmp_path / name]
    assert (tmp_path / name).read_bytes().startswith(magic)


def test_several_pages_are_one_pdf_or_numbered_files(tmp_path):
    found = Shown(pages=12)
    assert found.save(tmp_path / "a.pdf", dpi=50) == [tmp_path / "a.pdf"]
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 12
    paths = found.save(tmp_path / "b.png", dpi=50)
    assert [path.name for path in paths] == [f"b-{n:02}.png" for n in range(1, 13)]
    for page, path in enumerate(paths):
        assert (pixels_of(path.read_bytes()) == (0, 255 - page, 0)).all(axis=2).any()


def test_each_panel_in_a_file_of_its_own_without_margins(tmp_path):
    paths = Shown().save_panels(tmp_path / "new" / "folder", width=2.0, dpi=100)
    assert [path.name for path in paths] == ["red.png", "green.png"]
    for path, colour in zip(paths, ((255, 0, 0), (0, 255, 0)), strict=True):
        with Image.open(path) as image:
            assert image.size == (200, 100)
            pixels = np.asarray(image.convert("RGB"))
        assert (pixels[3:-3, 3:-3] == colour).all()


def test_panels_of_one_name_and_of_odd_names_have_files(tmp_path):
    names = [p.name for p in Shown(2, ("a/b c?", "a/b c?")).save_panels(tmp_path, "svg")]
    assert len(set(names)) == 4
    assert sorted(os.listdir(tmp_path)) == sorted(names)
    assert names[0] == "a_b_c.svg"
    unnamed = Shown(1, ("", "..")).save_panels(tmp_path / "x")
    assert [path.name for path in unnamed] == ["panel.png", "panel-2.png"]
    with pytest.raises(OptionError, match="does not end"):
        Shown().save_panels(tmp_path, "gif")
    with pytest.raises(OptionError, match="million pixels"):
        Shown().save_panels(tmp_path / "y", dpi=2400, width=100)


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        Shown().save_panels(tmp_path / "file")


def test_a_notebook_shows_the_png():
    assert Shown()._repr_png_() == Shown().png()
    assert Shown().png(dpi=50) != Shown().png()


def test_names_are_those_of_files():
    assert name_pictures(["/a/cat.png", b"..", "dog.jpg"]) == ("cat.png", "picture 1", "dog.jpg")
    with pytest.raises(OptionError, match="1 names for 2 pictures"):
        name_pictures(["a", "b"], ["c"])
