"""Drawing: colour maps, labelled figures and line charts."""

from onnxplain.engine.drawing.attribution import drawn, heat_bar, legend
from onnxplain.engine.drawing.charts import Chart, charts
from onnxplain.engine.drawing.colormaps import Pixels, enlarged, heat_grid, overlay
from onnxplain.engine.drawing.figure import Note, Panel, even_columns, figure
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
    "heat_bar",
    "heat_grid",
    "legend",
    "name_pictures",
    "overlay",
]
