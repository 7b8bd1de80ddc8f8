"""Panels painted alone, and figures, as the pixels of a canvas."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from onnxplain.engine.drawing import Style

PLAIN = Style()


def painted(panel, width, height, style=PLAIN):
    """The pixels [height, width, 3] of a panel, and what its colour bar would be of."""
    figure = Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    ax = figure.add_axes((0, 0, 1, 1))
    of = panel.paint(ax, style)
    for spine in ax.spines.values():
        spine.set_visible(False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].astype(int), of


def pixels_of(png):
    """The pixels [H, W, 3] of the bytes of a picture."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def texts_of(figure):
    """Every text on a figure: its own, and those of its axes."""
    inside = [t.get_text() for ax in figure.axes for t in (*ax.texts, ax.title, ax.xaxis.label)]
    ticks = [t.get_text() for ax in figure.axes for t in ax.get_xticklabels()]
    return [text for text in (*(t.get_text() for t in figure.texts), *inside, *ticks) if text]
