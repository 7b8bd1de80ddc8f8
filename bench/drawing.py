"""The time of drawing a figure of many panels of large pictures, and of importing matplotlib.

    python bench/drawing.py [PANELS] [SIDE]

Seconds of CPU: of the import, of laying out and painting, and of encoding as PNG.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from onnxplain.engine import Explanation
from onnxplain.engine.drawing import Style


def main(panels: int = 64, side: int = 1024) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (side, side, 3), np.uint8)
    attribution = np.empty((1, panels, 3, side, side), np.float32)
    for unit in range(panels):
        attribution[0, unit] = rng.standard_normal((3, side, side), np.float32)
    found = Explanation(
        attribution=attribution,
        score=np.arange(panels, dtype=np.float32)[None],
        channels=np.arange(panels)[None],
        position=None,
        layer="layer4",
        to="x",
        method="deconvnet",
        pictures=(picture,),
        names=("picture.png",),
    )
    start = time.process_time()
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401

    from onnxplain.engine.drawing.formats import encoded
    from onnxplain.engine.drawing.render import drawn_page

    imported = time.process_time()
    style = Style()
    figure = drawn_page(found.page(style), style)
    drawn = time.process_time()
    png = encoded(figure, "png")
    written = time.process_time()
    width, height = figure.get_size_inches() * style.dpi
    print(f"{panels} panels of {side} x {side} pixels, {len(figure.axes)} axes")
    print(f"import matplotlib      {imported - start:6.2f} s of CPU")
    print(f"lay out and paint      {drawn - imported:6.2f} s")
    print(f"write a PNG file       {written - drawn:6.2f} s, {width:.0f} x {height:.0f} pixels")
    print(f"together, but import   {written - imported:6.2f} s; {len(png) / 1e6:.1f} MB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
