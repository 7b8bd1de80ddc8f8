"""Blocks of tiles: where they lie, and what is painted there."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from onnxplain.engine import Preprocess
from onnxplain.engine.drawing import Blocks, Style, tile_pixels, tiles_panel


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(9, 3, 3), (1, 1, 1), (2, 1, 2), (5, 2, 3), (12, 3, 4)]
)
@pytest.mark.parametrize("tile", [(7, 7), (20, 10), (3, 30)])
def test_blocks_are_nearly_square(count, rows, columns, tile):
    blocks = Blocks(tile, count)
    assert blocks.columns == columns
    places = [blocks.place(block, number) for block in range(2) for number in range(count)]
    assert len({round(top, 6) for top, *_ in places}) == rows
    for top, left, bottom, right in places:
        assert ((bottom - top) / (right - left)) == pytest.approx(tile[0] / tile[1])
        assert top >= 0
        assert left >= 0
        assert bottom <= blocks.size[0] + 1e-9
        assert right <= blocks.size[1]
    for one, other in itertools.combinations(places, 2):
        apart = max(one[0] - other[2], other[0] - one[2], one[1] - other[3], other[1] - one[3])
        assert apart >= 0.04 - 1e-9
    first, second = places[:count], places[count:]
    gap = min(left for _, left, *_ in second) - max(right for *_, right in first)
    within = 0.04 if columns > 1 else 0
    assert gap > 2 * within


def painted(panel, pixels):
    """What a panel paints, at this many pixels of width."""
    figure = Figure(figsize=(pixels / 100, pixels * panel.aspect / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    panel.paint(figure.add_axes((0, 0, 1, 1)), Style(dpi=100))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3]


@pytest.mark.parametrize("pixels", [61, 333, 800])
def test_every_tile_is_at_its_place_and_gaps_are_white(pixels):
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 200, (2, 5, 3), np.uint8)
    tiles = [[np.tile(colour, (6, 9, 1)) for colour in row] for row in colours]
    blocks = Blocks((6, 9), 5)
    found = painted(tiles_panel(("x",), lambda style: tiles, blocks, width=2.0), pixels)
    scale = pixels / blocks.size[1]
    white = np.ones(found.shape[:2], bool)
    for block, number in itertools.product(range(2), range(5)):
        place = [scale * end for end in blocks.place(block, number)]
        top, left, bottom, right = map(round, place)
        inner = found[top + 1 : bottom - 1, left + 1 : right - 1].reshape(-1, 3)
        np.testing.assert_array_equal(inner, np.tile(colours[block, number], (len(inner), 1)))
        white[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = False
    assert (found[white] == 255).all()
    assert white.mean() > 0.02


def test_small_tiles_stay_sharp():
    """Enlarged pixels have the colours of the tile and no others."""
    tile = np.random.default_rng(1).integers(0, 250, (3, 3, 3), np.uint8)
    found = painted(tiles_panel((), lambda style: [[tile]], Blocks((3, 3), 1, 1), width=1.0), 500)
    colours = {tuple(c) for c in found.reshape(-1, 3).tolist()}
    assert colours == {tuple(c) for c in tile.reshape(-1, 3).tolist()} | {(255, 255, 255)}


def test_the_colours_of_tiles():
    """Zero is mid-grey or white, the largest value is full; blue comes first in some networks."""
    values = np.zeros((3, 4, 5), np.float32)
    values[0, 1, 2], values[2, 3, 4] = 2, -2
    shown = tile_pixels(values, "reconstruction", None, None)
    assert shown.shape == (4, 5, 3)
    assert shown[1, 2].tolist() == [255, 128, 128]
    assert shown[3, 4].tolist() == [128, 128, 0]
    assert shown[0, 0].tolist() == [128, 128, 128]
    swapped = tile_pixels(values, "reconstruction", Preprocess(color="BGR"), None)
    np.testing.assert_array_equal(swapped, shown[:, :, ::-1])
    last = tile_pixels(values.transpose(1, 2, 0), "reconstruction", None, None)
    np.testing.assert_array_equal(last, shown)
    signed = tile_pixels(values, "map", None, None).astype(int)
    assert signed[0, 0].min() > 240
    assert signed[1, 2, 0] > signed[1, 2, 2] + 50  # red
    assert signed[3, 4, 2] > signed[3, 4, 0] + 50  # blue
    grey = tile_pixels(values, "map", None, "gray")
    assert grey[1, 2].tolist() == [255, 255, 255]
    assert not tile_pixels(np.zeros((3, 2, 2)), "reconstruction", None, None).std()
