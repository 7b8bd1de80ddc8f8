"""Pages laid out: every text inside, captions that fit, colour bars, sizes."""

import itertools
import time

import numpy as np
import pytest
from engine.painted import pixels_of, texts_of

from onnxplain.engine.drawing import (
    Frame,
    Page,
    Panel,
    Style,
    attribution_panel,
    even_columns,
    heat_panel,
    picture_panel,
)
from onnxplain.engine.drawing.bars import round_ticks
from onnxplain.engine.drawing.digits import number, percent
from onnxplain.engine.drawing.formats import encoded
from onnxplain.engine.drawing.render import drawn_page
from onnxplain.graphops.errors import OptionError

BLUE = np.full((20, 20, 3), (0, 0, 255), np.uint8)
FRAME = Frame.whole((20, 20), BLUE)
WIDE = "through training, epoch by epoch, of a network whose name is long " * 3


def blue(*captions):
    return picture_panel(captions, FRAME)


def mapped(scale, caption="m", lowest=-0.001):
    values = np.full((1, 4, 4), scale, np.float32)
    values[0, 0, 0] = lowest * scale
    return attribution_panel((caption,), lambda: values, "map", None, Frame.whole((4, 4)))


def drawn(*rows, title="", legend=(), notes=(), **style):
    return drawn_page(Page(title, rows, legend, notes), Style(**style))


def is_inside(figure):
    """Tell whether every text lies within the figure, as its own renderer measures it."""
    renderer = figure.canvas.get_renderer()
    texts = [*figure.texts]
    for ax in figure.axes:
        texts += [t for t in ax.get_xticklabels() if t.get_text()]
    width, height = figure.bbox.width, figure.bbox.height
    boxes = [t.get_window_extent(renderer) for t in texts]
    return all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)


def test_the_longest_caption_that_fits_is_written():
    assert "short" in texts_of(drawn([blue("a" * 90, "short", "s")]))
    assert "a caption" in texts_of(drawn([blue("a caption", "short")]))


def test_a_caption_that_never_fits_is_cut_and_stands_in_full_below():
    full, last = "word " * 20, "letters " * 30
    texts = texts_of(drawn([blue(full, last), blue("b")]))
    assert any(t.startswith("letters letters") and t.endswith("… [1]") for t in texts)
    below = " ".join(texts[texts.index("b") + 1 :])
    assert f"[1] {full.strip()}" in below
    assert "[2]" not in below


def test_a_panel_without_captions_lends_its_room():
    caption = "too wide for one, and not for two panels of a page"
    assert caption in texts_of(drawn([blue(caption), blue()]))
    assert caption not in texts_of(drawn([blue(caption), blue("b")]))


@pytest.mark.parametrize("width", [None, 2.0, 3.3, 12.0])
@pytest.mark.parametrize("count", [1, 3, 20])
def test_every_text_is_within_the_figure(width, count):
    row = [mapped(10.0**n, "a long caption of one of the maps") for n in range(-4, count - 4)]
    rows = [row[start : start + 3] for start in range(0, count, 3)]
    figure = drawn(
        *rows, title=WIDE, legend=["legend " * 30], notes=["note " * 40, "x" * 500], width=width
    )
    assert is_inside(figure)
    if width is not None:
        assert figure.get_size_inches()[0] == width


def test_labels_may_have_dollars_and_any_script():
    texts = texts_of(drawn([blue("$a_b$")], title="cost: $5 to $6, \\alpha, 猫"))
    assert "$a_b$" in texts
    assert texts[0].startswith("cost: $5 to $6, \\alpha, ")


def test_a_long_title_takes_two_lines_and_then_is_cut():
    texts = texts_of(drawn([blue("p"), blue("p")], title=WIDE))
    joined = " ".join(texts)
    assert joined.count("…") == 1
    assert f"[1] {WIDE.strip()}" in joined
    short = texts_of(drawn([blue("p"), blue("p")], title="two lines " * 9))
    assert " ".join(short[:2]) == ("two lines " * 9).strip()


def test_no_title():
    with_title = drawn([blue("p")], title="T")
    assert "T" in texts_of(with_title)
    without = drawn_page(Page("T", [[blue("p")]]), Style(title=False))
    assert "T" not in texts_of(without)
    assert without.get_size_inches()[1] < with_title.get_size_inches()[1]


def test_texts_of_a_million_characters_are_cut_at_once():
    begun = time.process_time()
    figure = drawn([blue("a" * 10**6)], title="b" * 10**6, notes=["c\nd" * 10**6])
    assert time.process_time() - begun < 10
    assert is_inside(figure)


def test_of_many_notes_the_rest_is_counted_and_advice_is_left_out():
    texts = texts_of(drawn([blue("p")], notes=[f"odd {n}: do this" for n in range(9)]))
    assert "Note: odd 6" in texts
    assert "Note: and 2 more" in texts
    assert not any("do this" in text for text in texts)


def test_an_empty_place_stays_white():
    page = pixels_of(encoded(drawn([blue("p"), blue("p")], [None, blue("p")]), "png"))
    blues = (page == (0, 0, 255)).all(axis=2)
    height, width = blues.shape
    assert blues[: height // 2, : width // 2].any()
    assert not blues[height // 2 :, : width // 2].any()
    assert blues[height // 2 :, width // 2 :].any()


def test_up_to_sixteen_maps_have_a_bar_each_with_round_numbers():
    figure = drawn([mapped(0.0123), mapped(730.0)])
    texts = texts_of(figure)
    assert {"−0.01", "0", "0.01", "−600", "600"} <= set(texts)
    assert len(figure.axes) == 4
    many = drawn(*[[mapped(1.0 + n) for n in range(17)]])
    assert len(many.axes) == 18
    texts = texts_of(many)
    assert {"−max", "0", "max", "max is 1 to 17"} <= set(texts)
    assert sum("Maps, each scaled" in text for text in texts) == 1


def test_many_maps_of_one_scale_share_its_numbers():
    texts = texts_of(drawn(*[[mapped(4.0)] * 17]))
    assert {"−4", "0", "4"} <= set(texts)
    assert "max" not in texts


def test_maps_that_are_nowhere_negative_have_bars_from_zero():
    assert {"0", "0.5", "1"} <= set(texts_of(drawn([mapped(1.0, lowest=0.5)])))
    alike = texts_of(drawn([mapped(1.0 + n, lowest=0.5) for n in range(17)]))
    assert {"0", "max", "max is 1 to 17"} <= set(alike)
    assert "−max" not in alike
    mixed = [mapped(1.0 + n, lowest=0.5 if n < 9 else -0.001) for n in range(17)]
    assert {"−max", "0", "max", "max is 1 to 17"} <= set(texts_of(drawn(mixed)))
    other = "max is 1 to 17; all colours from 0 to max where nowhere negative"
    assert other in texts_of(drawn(mixed, cmap="viridis"))
    assert other not in texts_of(drawn(mixed, cmap="seismic"))


def test_the_colours_of_a_bar_are_those_of_its_map():
    page = pixels_of(encoded(drawn([mapped(1.0)]), "png"))
    for end in ((103, 0, 31), (5, 48, 97)):  # both, though the map has one colour
        assert np.abs(page - end).max(axis=2).min() < 12


def test_a_tall_picture_is_narrower_and_keeps_its_aspect():
    picture = np.full((300, 50, 3), (0, 0, 255), np.uint8)
    figure = drawn([picture_panel(("t",), Frame.whole((300, 50), picture)), blue("b")])
    box = figure.axes[0].get_window_extent()
    assert box.height / box.width == pytest.approx(6, rel=0.01)
    other = figure.axes[1].get_window_extent()
    assert other.height == pytest.approx(other.width)


def test_a_figure_of_too_many_pixels_or_no_room_is_refused():
    with pytest.raises(OptionError, match="million pixels: give a smaller dpi"):
        drawn([blue("p")], width=100.0, dpi=2400)
    with pytest.raises(OptionError, match="30 panels of a row have no room in 3 inches"):
        drawn([blue("p")] * 30, width=3.0)


def test_dpi_is_the_raster_s():
    small, large = (pixels_of(encoded(drawn([blue("p")], dpi=dpi), "png")) for dpi in (50, 200))
    assert large.shape[0] == pytest.approx(4 * small.shape[0], abs=4)
    assert large.shape[1] == pytest.approx(4 * small.shape[1], abs=4)


def test_what_a_panel_paints_lies_under_its_caption():
    def paint(ax, style):
        ax.imshow(BLUE)

    figure = drawn([Panel(("first",), 1.0, paint), Panel(("second",), 1.0, paint)])
    at = {text.get_text(): text.get_position()[0] for text in figure.texts}
    lefts = [ax.get_position().x0 for ax in figure.axes]
    assert [at["first"], at["second"]] == pytest.approx(lefts)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (-0.0772, 0.0772, [-0.06, 0, 0.06]),
        (0, 1, [0, 0.5, 1]),
        (0, 0.066, [0, 0.03, 0.06]),
        (-3, 3, [-3, 0, 3]),
        (0.21, 0.87, [0.4, 0.6, 0.8]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round(low, high, ticks):
    assert round_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize("scale", [1e-12, 3.7e-5, 0.44, 1.0, 17.3, 9.99e8])
def test_ticks_are_two_or_three_within_the_limits(scale):
    for low in (-scale, -2 * scale, 0.0):
        ticks = round_ticks(low, scale)
        assert 2 <= len(ticks) <= 3
        assert low <= ticks[0] < ticks[-1] <= scale
        digits = [f"{abs(t):.1e}".partition("e")[0] for t in ticks]
        assert set(digits) <= {f"{n}.0" for n in range(10)} | {"1.5", "2.5", "7.5"}


def test_numbers_in_few_digits():
    found = [number(v) for v in (0, 0.5, -0.002, 12.345, -1234.5, 3e-5, 2.5e9)]
    assert [number(float(v)) for v in ("inf", "-inf", "nan")] == ["inf", "−inf", "nan"]
    assert found == ["0", "0.5", "−0.002", "12.3", "−1,234", "3×10⁻⁵", "2.5×10⁹"]
    shares = [percent(p) for p in (0.264, 0.9987, 0.003, 2e-6, 0.0, 1.0)]
    assert shares == ["26 %", "99.9 %", "0.3 %", "<0.01 %", "0 %", "100 %"]


@pytest.mark.parametrize("inches", [0.5, 0.7, 1.0, 2.4])
@pytest.mark.parametrize("scale", [0.00043, 0.0912, 1480.0])
def test_the_numbers_of_a_bar_never_touch(inches, scale):
    values = np.full((1, 4, 4), scale, np.float32)
    heat = heat_panel(("h",), lambda: values, Frame.whole((4, 4), BLUE[:4, :4]))
    figure = drawn([mapped(scale), heat], width=2 * inches + 0.5)
    figure.canvas.draw()
    for bar in figure.axes[1::2]:
        boxes = [label.get_window_extent() for label in bar.get_xticklabels()]
        assert boxes
        assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))


def test_many_maps_fill_four_columns_and_few_three():
    assert [even_columns(n) for n in (1, 3, 4, 5, 9, 10, 16)] == [1, 3, 2, 3, 3, 4, 4]
