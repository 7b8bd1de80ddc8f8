"""The views by their names, for callers that are told a name: the command line and the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnxplain.engine.comparison import maps
from onnxplain.engine.covering import covered
from onnxplain.engine.invariance import invariance
from onnxplain.engine.sliding import slide
from onnxplain.engine.strongest import strongest_pictures
from onnxplain.engine.training import through_training
from onnxplain.engine.view import View

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
