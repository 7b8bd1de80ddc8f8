"""Files of figures: their kinds, the same bytes each time, text that stays text."""

import re
import threading

import numpy as np
import pytest
from engine.painted import pixels_of
from matplotlib import rc_context, rcParams, style

from onnxplain.engine.drawing import Frame, Page, Style, format_of, heat_panel, picture_panel
from onnxplain.engine.drawing.formats import encoded, encoded_pages, style_for
from onnxplain.engine.drawing.render import drawn_page
from onnxplain.graphops.errors import OptionError

MAGIC = {"png": b"\x89PNG\r\n", "jpg": b"\xff\xd8\xff", "pdf": b"%PDF-", "svg": b"<?xml"}
PICTURE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
DPI = 60
FRAME = Frame.whole((30, 40), PICTURE)


def figure(title="What the unit sees"):
    heat = heat_panel(("heat",), lambda: PICTURE.transpose(2, 0, 1).astype(np.float32), FRAME)
    return drawn_page(Page(title, [[picture_panel(("cost in $",), FRAME), heat]]), Style(dpi=DPI))


@pytest.mark.parametrize("form", MAGIC)
def test_each_kind_of_file_is_the_same_each_time(form):
    first, again = encoded(figure(), form), encoded(figure(), form)
    assert first.startswith(MAGIC[form])
    assert first == again
    assert b"CreationDate" not in first
    assert b"<dc:date>" not in first


def test_text_stays_text():
    svg = encoded(figure(), "svg").decode()
    assert ">What the unit sees</text>" in svg
    assert ">cost in $</text>" in svg
    pdf = encoded(figure(), "pdf")
    assert b"/Type0" in pdf or b"/TrueType" in pdf  # fonttype 42 embeds the font itself
    assert b"/Type3" not in pdf


def test_a_raster_is_what_the_canvas_shows_and_a_jpeg_almost():
    png, jpg = (pixels_of(encoded(figure(), form)) for form in ("png", "jpg"))
    assert png.shape == jpg.shape
    assert np.abs(png - jpg).mean() < 6
    width, height = figure().get_size_inches()
    assert png.shape[:2] == pytest.approx((DPI * height, DPI * width), abs=1)


def test_pages_of_a_pdf():
    pdf = encoded_pages([figure("a"), figure("b"), figure("c")])
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 3
    assert pdf == encoded_pages([figure("a"), figure("b"), figure("c")])


def test_matplotlib_s_settings_stay_the_user_s():
    with rc_context({"svg.fonttype": "path", "pdf.fonttype": 3, "svg.hashsalt": "mine"}):
        encoded(figure(), "svg")
        encoded_pages([figure()])
        assert (rcParams["svg.fonttype"], rcParams["pdf.fonttype"]) == ("path", 3)
        assert rcParams["svg.hashsalt"] == "mine"


def test_a_dark_style_of_the_user_leaves_text_readable():
    with style.context("dark_background"):
        page = pixels_of(encoded(figure(), "png"))
    assert page[0, 0].tolist() == [255, 255, 255]
    plain = pixels_of(encoded(figure(), "png"))
    np.testing.assert_array_equal(page, plain)


def test_threads_draw_at_the_same_time():
    expected = {form: encoded(figure(), form) for form in ("png", "svg", "pdf")}
    wrong = []

    def draw(form):
        for _ in range(3):
            if encoded(figure(), form) != expected[form]:
                wrong.append(form)

    threads = [threading.Thread(target=draw, args=(form,)) for form in expected for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("path", "form"), [("a.png", "png"), ("b.PDF", "pdf"), ("c.jpeg", "jpg"), ("d.e.svg", "svg")]
)
def test_the_suffix_names_the_kind(path, form):
    assert format_of(path) == form


@pytest.mark.parametrize("path", ["a.gif", "a", "png", "a.npz"])
def test_other_suffixes_are_refused(path):
    with pytest.raises(OptionError, match=r"does not end in \.png, \.pdf, \.svg or \.jpg"):
        format_of(path)


def test_pictures_within_vector_files_are_finer():
    assert style_for("pdf", {"alpha": 0.5}) == {"dpi": 300, "alpha": 0.5}
    assert style_for("svg", {"dpi": 90}) == {"dpi": 90}
    assert style_for("png", {"alpha": 0.5}) == {"alpha": 0.5}
