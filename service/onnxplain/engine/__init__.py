"""Runs rewritten graphs on ONNX Runtime: explanations of pictures, as arrays and as drawings.

from onnxplain.engine import explain

explanation = explain("model.onnx", "cat.png", layer="layer4", units="top:9")
explanation.save("cat-layer4.png")
"""

from onnxplain.engine.comparison import draw_side_by_side
from onnxplain.engine.covering import Covered, covered, draw_covered
from onnxplain.engine.engine import Choices, Engine, explain
from onnxplain.engine.evaluation import Evaluation, class_methods, evaluate
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.invariance import Invariance, draw_invariance, invariance
from onnxplain.engine.preprocess import PRESETS, Preprocess
from onnxplain.engine.reading import read_picture
from onnxplain.engine.sliding import Sliding, slide
from onnxplain.engine.strongest import Found, draw_strongest, strongest_pictures
from onnxplain.engine.training import draw_training, through_training

__all__ = [
    "PRESETS",
    "Choices",
    "Covered",
    "Engine",
    "Evaluation",
    "Explanation",
    "Found",
    "Invariance",
    "Preprocess",
    "Sliding",
    "class_methods",
    "covered",
    "draw_covered",
    "draw_invariance",
    "draw_side_by_side",
    "draw_strongest",
    "draw_training",
    "evaluate",
    "explain",
    "invariance",
    "read_picture",
    "strongest_pictures",
    "through_training",
    "slide",
]
