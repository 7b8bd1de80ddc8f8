"""The views by their names, for callers that are told a name: the command line and the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnxplain.engine.drawing import View
from onnxplain.engine.views.invariance import invariance
from onnxplain.engine.views.occlusion import covered
from onnxplain.engine.views.side_by_side import maps
from onnxplain.engine.views.sliding_window import slide
from onnxplain.engine.views.top import strongest_pictures
from onnxplain.engine.views.training import through_training

__all__ = ["VIEWS"]

# Each takes an engine, a model (`training`: models), a picture (`maps` and `top`: pictures), and by
# name what it has besides. All know `labels`, `preprocess` and `progress`.
VIEWS: Mapping[str, Callable[..., View]] = {
    "maps": maps,
    "top": strongest_pictures,
    "training": through_training,
    "invariance": invariance,
    "occlusion": covered,
    "slide": slide,
}
