"""The figure of the strongest pictures: its tiles, captions and pages."""

import re
from dataclasses import replace

import numpy as np
import pytest
from engine.viewed import UNIT
from PIL import Image

from onnxplain.engine import Engine, Preprocess
from onnxplain.engine.drawing import Blocks, Style, tile_pixels


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


@pytest.fixture(scope="module")
def found(engine, model, pictures):
    return engine.top(model, pictures, "e", "all", preprocess=UNIT)


def drawn_tiles(view, folder, row, blocks, side=80):
    """The two blocks of a channel, [2, count, side, side, 3], from the file of its panel."""
    width = side / 100 * blocks.size[1]
    paths = view.save_panels(folder, dpi=100, width=width)
    page = np.asarray(Image.open(paths[row]).convert("RGB"))
    tiles = np.zeros((2, blocks.count, side, side, 3), np.uint8)
    for block in range(2):
        for number in range(blocks.count):
            top, left, bottom, right = (round(side * n) for n in blocks.place(block, number))
            tile = Image.fromarray(page[top:bottom, left:right]).resize((side, side), 0)
            tiles[block, number] = np.asarray(tile)
    return tiles


def framed(pixels, one, fill):
    """What a unit sees, 8 pixels square, its place in the middle."""
    tile = np.full((8, 8, *pixels.shape[2:]), fill, pixels.dtype)
    for i in range(pixels.shape[0]):
        for j in range(pixels.shape[1]):
            row = i + one.box[0] - (2 * one.position[0] - 1)
            column = j + one.box[1] - (2 * one.position[1] - 1)
            tile[row, column] = pixels[i, j]
    return tile


def test_projections_lie_beside_patches_in_tiles_of_one_size(found, tmp_path):
    """Those at the border are padded, with the unit in their middle."""
    clipped = 0
    for row, channel in enumerate(found.rows):
        tiles = drawn_tiles(found, tmp_path, row, Blocks((8, 8), 4))
        for number, one in enumerate(channel):
            clipped += one.patch.shape != (8, 8, 3)
            patch = framed(one.patch, one, 127).repeat(10, axis=0).repeat(10, axis=1)
            back = framed(one.projection.transpose(1, 2, 0), one, 0).transpose(2, 0, 1)
            back = tile_pixels(back, "reconstruction", found.preprocess, None)
            back = back.repeat(10, axis=0).repeat(10, axis=1)
            for shown, expected in ((tiles[0, number], back), (tiles[1, number], patch)):
                inner = np.s_[5::10, 5::10]  # the middle of each of the picture's pixels
                np.testing.assert_array_equal(shown[inner], expected[inner])
    assert clipped >= 3


def test_colours_of_a_network_that_takes_blue_first(engine, model, pictures, tmp_path):
    how = Preprocess(color="BGR", scale=1 / 255)
    view = engine.top(model, pictures[:1], "e", [1], preprocess=how)
    (one,) = view.rows[0]
    shown = drawn_tiles(view, tmp_path, 0, Blocks((8, 8), 1))[0, 0][5::10, 5::10]
    back = framed(one.projection[::-1].transpose(1, 2, 0), one, 0).transpose(2, 0, 1)
    np.testing.assert_array_equal(shown, tile_pixels(back, "reconstruction", None, None))


def test_captions_and_names(found):
    page = found.page(Style())
    assert "deconvnet" in page.title.lower()
    assert "'imagenet'" not in page.title
    for row, panel in zip(found.rows, page.panels, strict=True):
        first, last = row[0].score, row[-1].score
        assert panel.captions[0].startswith(f"channel {row[0].channel} · ")
        assert panel.captions[0].endswith(f"{first:.3g} to {last:.3g}".replace("-", "−"))
        assert panel.captions[-1] == str(row[0].channel)
        assert panel.name == f"channel_{row[0].channel}"
    assert "page" not in page.title
    assert "strongest first" in page.legend[0]
    labelled = replace(found, labels=("a, an a", "b"))
    captions = [panel.captions for panel in labelled.page(Style()).panels]
    assert captions[0][0].startswith("a · ")
    assert captions[0][-1] == "a"
    assert captions[2][-1] == "2"


def test_pictures_in_which_a_channel_is_off_have_no_tile(found, tmp_path):
    off = [replace(one, score=0.0) for one in found.rows[0]]
    some = [*found.rows[1][:2], *(replace(one, score=0.0) for one in found.rows[1][2:])]
    view = replace(found, rows=(tuple(off), tuple(some)))
    first, second = view.page(Style()).panels
    assert first.captions[0] == "channel 0 · not active"
    last = f"{some[1].score:.3g}".replace("-", "−")
    assert second.captions[0].endswith(last)
    for row, empty in ((0, [True] * 4), (1, [False, False, True, True])):
        tiles = drawn_tiles(view, tmp_path, row, Blocks((8, 8), 4))
        assert (tiles == 255).all(axis=(2, 3, 4)).tolist() == [empty] * 2


def many(found, channels):
    rows = [found.rows[i % 6] for i in range(channels)]
    return replace(
        found,
        rows=tuple(tuple(replace(one, channel=i) for one in row) for i, row in enumerate(rows)),
    )


@pytest.mark.parametrize("style", [Style(), Style(columns=4), Style(width=5.0), Style(columns=1)])
def test_many_channels_are_on_pages_of_a4(found, style):
    view = many(found, 100)
    pages = view.pages(style)
    assert len(pages) > 3
    names = [panel.name for page in pages for panel in page.panels]
    assert names == [f"channel_{i}" for i in range(100)]
    assert [page.title.rpartition(" · ")[2] for page in pages] == [
        f"page {i + 1} of {len(pages)}" for i in range(len(pages))
    ]
    if style.columns:
        assert all(len(row) == style.columns for page in pages for row in page.rows[:-1])
    options = {"columns": style.columns, "width": style.width}
    width, height = view.figure(**options).get_size_inches()
    assert width == pytest.approx(style.width or 8.27, abs=0.2)
    assert 0.9 < height / width < 1.45


def test_a_few_channels_are_on_one_page(found):
    for columns in (None, 1, 24):
        assert len(many(found, 24).pages(Style(columns=columns))) == 1
    (page,) = many(found, 30).pages(Style(columns=6))  # smaller panels
    assert "page" not in page.title
    (page,) = many(found, 4).pages(Style())
    assert [len(row) for row in page.rows] == [2, 2]


def test_files_of_several_pages(found, tmp_path):
    view = many(found, 60)
    count = len(view.pages(Style()))
    assert view.save(tmp_path / "top.pdf") == [tmp_path / "top.pdf"]
    data = (tmp_path / "top.pdf").read_bytes()
    assert len(re.findall(rb"/Type /Page\b", data)) == count
    paths = view.save(tmp_path / "top.png", dpi=40)
    assert paths == [tmp_path / f"top-{i + 1}.png" for i in range(count)]
    assert all(path.stat().st_size for path in paths)
    assert len(view.save_panels(tmp_path / "panels", dpi=40)) == 60
    assert many(found, 3).save(tmp_path / "few.svg") == [tmp_path / "few.svg"]


def test_without_a_title_each_caption_names_the_layer(found):
    """And the method, where there is room."""
    captions = [panel.captions for panel in found.page(Style(title=False)).panels]
    assert all(f"of {found.layer} · " in texts[0] for texts in captions)
    assert all("· DeconvNet" in texts[0] for texts in captions)
    assert not any(f"of {found.layer}" in p.captions[0] for p in found.page(Style()).panels)
