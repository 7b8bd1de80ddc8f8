"""Drawing: figures by matplotlib, which is imported only when something is drawn."""

from typing import TYPE_CHECKING

from onnxplain.graphops.lazy_import import on_first_use

if TYPE_CHECKING:
    from onnxplain.engine.drawing.axes import plotted
    from onnxplain.engine.drawing.captions import layer_name, method_title, unit_captions, unit_name
    from onnxplain.engine.drawing.charts import chart_panel, limits_of, strip_panel
    from onnxplain.engine.drawing.colormaps import Pixels
    from onnxplain.engine.drawing.digits import number, percent
    from onnxplain.engine.drawing.formats import (
        SUFFIXES,
        encoded,
        encoded_pages,
        format_of,
        style_for,
    )
    from onnxplain.engine.drawing.frames import Box, Frame
    from onnxplain.engine.drawing.grids import grid_panel
    from onnxplain.engine.drawing.page import Page, Panel, arranged, even_columns
    from onnxplain.engine.drawing.picture_panels import (
        attribution_panel,
        frame_of,
        heat_panel,
        kind_of,
        picture_panel,
    )
    from onnxplain.engine.drawing.render import drawn_page
    from onnxplain.engine.drawing.signals import (
        input_legend,
        is_signal,
        is_volume,
        picture_of,
        signal_panel,
        volume_panel,
    )
    from onnxplain.engine.drawing.style import Style, StyleOptions, style_of
    from onnxplain.engine.drawing.tiles import Blocks, tile_pixels, tiles_panel
    from onnxplain.engine.drawing.view import View, name_pictures

__all__ = [
    "SUFFIXES",
    "Blocks",
    "Box",
    "Frame",
    "Page",
    "Panel",
    "Pixels",
    "Style",
    "StyleOptions",
    "View",
    "arranged",
    "attribution_panel",
    "chart_panel",
    "drawn_page",
    "even_columns",
    "encoded",
    "encoded_pages",
    "format_of",
    "frame_of",
    "grid_panel",
    "heat_panel",
    "input_legend",
    "is_signal",
    "is_volume",
    "kind_of",
    "layer_name",
    "limits_of",
    "method_title",
    "name_pictures",
    "number",
    "percent",
    "picture_of",
    "picture_panel",
    "plotted",
    "signal_panel",
    "strip_panel",
    "style_for",
    "style_of",
    "tile_pixels",
    "tiles_panel",
    "unit_captions",
    "unit_name",
    "volume_panel",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Blocks": "tiles",
        "Box": "frames",
        "Frame": "frames",
        "Page": "page",
        "Panel": "page",
        "Pixels": "colormaps",
        "SUFFIXES": "formats",
        "Style": "style",
        "StyleOptions": "style",
        "View": "view",
        "arranged": "page",
        "attribution_panel": "picture_panels",
        "chart_panel": "charts",
        "drawn_page": "render",
        "even_columns": "page",
        "encoded": "formats",
        "encoded_pages": "formats",
        "format_of": "formats",
        "frame_of": "picture_panels",
        "grid_panel": "grids",
        "heat_panel": "picture_panels",
        "input_legend": "signals",
        "is_signal": "signals",
        "is_volume": "signals",
        "kind_of": "picture_panels",
        "layer_name": "captions",
        "limits_of": "charts",
        "method_title": "captions",
        "name_pictures": "view",
        "number": "digits",
        "percent": "digits",
        "picture_of": "signals",
        "picture_panel": "picture_panels",
        "plotted": "axes",
        "signal_panel": "signals",
        "strip_panel": "charts",
        "style_for": "formats",
        "style_of": "style",
        "tile_pixels": "tiles",
        "tiles_panel": "tiles",
        "unit_captions": "captions",
        "unit_name": "captions",
        "volume_panel": "signals",
    },
)
