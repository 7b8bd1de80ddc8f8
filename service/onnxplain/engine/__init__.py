"""Runs rewritten graphs on ONNX Runtime: explanations of pictures, as arrays and as drawings.

from onnxplain.engine import explain

explanation = explain("model.onnx", "cat.png", layer="layer4", units="top:9")
explanation.save("cat-layer4.png")
"""

from onnxplain.engine.engine import Choices, Engine, explain
from onnxplain.engine.evaluation import Evaluation, class_methods, evaluate
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.preprocess import PRESETS, Preprocess
from onnxplain.engine.reading import read_picture
from onnxplain.engine.sliding import Sliding, slide

__all__ = [
    "PRESETS",
    "Choices",
    "Engine",
    "Evaluation",
    "Explanation",
    "Preprocess",
    "Sliding",
    "class_methods",
    "evaluate",
    "explain",
    "read_picture",
    "slide",
]
