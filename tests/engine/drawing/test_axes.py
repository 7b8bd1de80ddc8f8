"""Panels in axes of a user's figure: their resolution, and their titles."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from onnxplain.engine.drawing import Frame, Style, attribution_panel, plotted


def panel(captions=()):
    values = np.random.default_rng(0).standard_normal((1, 900, 900)).astype(np.float32)
    return attribution_panel(captions, lambda: values, "map", None, Frame.whole((900, 900)))


@pytest.mark.parametrize("whole", [True, False])
def test_pictures_are_fine_enough_for_a_file_of_more_pixels(whole):
    """Two inches of axes at 300 pixels per inch, in a figure of 100 for the screen."""
    figure = Figure(figsize=(2, 2), dpi=100)
    parent = figure if whole else figure.subfigures()
    ax = plotted(panel(), parent.add_axes((0, 0, 1, 1)), Style())
    assert ax.images[0].get_array().shape == (600, 600)
    assert figure.dpi == 100


def test_a_title_is_no_wider_than_its_axes():
    long, short = "guided backpropagation of barracouta, 61 %", "barracouta"
    for captions, width, expected in (
        ((long,), 9, long),
        ((long, short), 2, short),
        ((long,), 2, None),
    ):
        figure = Figure(figsize=(width, 2), dpi=100)
        ax = plotted(panel(captions), figure.add_axes((0, 0, 1, 1)), Style())
        title = ax.get_title()
        figure.draw_without_rendering()
        assert ax.title.get_window_extent().width <= 100 * width
        assert title == expected or (expected is None and title.startswith("guided b"))
        assert title.endswith("…") == (expected is None)
