"""Runs rewritten graphs on ONNX Runtime: explanations of pictures, as arrays and as drawings.

from onnxplain.engine import explain

explanation = explain("model.onnx", "cat.png", layer="layer4", units="top:9")
explanation.save("cat-layer4.png")
"""

from onnxplain.engine.comparison import SideBySide, maps
from onnxplain.engine.covering import Covered, covered
from onnxplain.engine.engine import Choices, Engine, explain
from onnxplain.engine.evaluation import Evaluation, class_methods, evaluate
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.invariance import Curve, Invariance, invariance
from onnxplain.engine.preprocess import PRESETS, Preprocess
from onnxplain.engine.reading import read_picture
from onnxplain.engine.sliding import Sliding, slide
from onnxplain.engine.strongest import Found, Strongest, strongest_pictures
from onnxplain.engine.training import Training, through_training
from onnxplain.engine.view import View
from onnxplain.engine.views import VIEWS

__all__ = [
    "PRESETS",
    "VIEWS",
    "Choices",
    "Covered",
    "Curve",
    "Engine",
    "Evaluation",
    "Explanation",
    "Found",
    "Invariance",
    "Preprocess",
    "SideBySide",
    "Sliding",
    "Strongest",
    "Training",
    "View",
    "class_methods",
    "covered",
    "evaluate",
    "explain",
    "invariance",
    "maps",
    "read_picture",
    "slide",
    "strongest_pictures",
    "through_training",
]
