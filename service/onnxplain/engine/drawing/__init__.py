"""Drawing: colour maps, labelled figures and line charts."""

from onnxplain.engine.drawing.attribution import drawn, heat_bar, legend
from onnxplain.engine.drawing.captions import unit_captions
from onnxplain.engine.drawing.charts import Chart, charts
from onnxplain.engine.drawing.colormaps import Pixels, enlarged, heat_grid, overlay
from onnxplain.engine.drawing.figure import Note, Panel, even_columns, figure
from onnxplain.engine.drawing.signals import has_own_size, input_legend, picture_of
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
    "even_columns",
    "figure",
    "has_own_size",
    "heat_bar",
    "heat_grid",
    "input_legend",
    "legend",
    "name_pictures",
    "overlay",
    "picture_of",
    "unit_captions",
]
