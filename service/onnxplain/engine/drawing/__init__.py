"""Colour maps, figures and charts."""

from onnxplain.engine.drawing.attribution import drawn, legend
from onnxplain.engine.drawing.charts import Chart, charts
from onnxplain.engine.drawing.colormaps import Pixels, enlarged, heat, laid, overlay
from onnxplain.engine.drawing.figure import Note, Panel, figure
from onnxplain.engine.drawing.view import View, name_pictures

__all__ = [
    "Chart",
    "Note",
    "Panel",
    "Pixels",
    "View",
    "charts",
    "drawn",
    "enlarged",
    "figure",
    "heat",
    "laid",
    "legend",
    "name_pictures",
    "overlay",
]
