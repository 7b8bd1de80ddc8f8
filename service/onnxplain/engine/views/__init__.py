"""What people look at: top, training, invariance, occlusion, sliding window, side by side."""

from onnxplain.engine.views.class_scores import class_probabilities, class_scores
from onnxplain.engine.views.declarations import VIEWS
from onnxplain.engine.views.invariance import Curve, Invariance, invariance
from onnxplain.engine.views.occlusion import Covered, covered
from onnxplain.engine.views.side_by_side import SideBySide, maps
from onnxplain.engine.views.sliding_window import Sliding, slide
from onnxplain.engine.views.top import Found, Strongest, strongest_pictures
from onnxplain.engine.views.training import Training, through_training

__all__ = [
    "Covered",
    "Curve",
    "Found",
    "Invariance",
    "SideBySide",
    "Sliding",
    "Strongest",
    "Training",
    "VIEWS",
    "class_probabilities",
    "class_scores",
    "covered",
    "invariance",
    "maps",
    "slide",
    "strongest_pictures",
    "through_training",
]
