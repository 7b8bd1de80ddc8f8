"""Explanations of pictures on ONNX Runtime, as arrays and as drawings.

from onnxplain.engine import explain

explanation = explain("model.onnx", "cat.png", layer="layer4", units="top:9")
explanation.save("cat-layer4.png")
"""

from typing import TYPE_CHECKING

from onnxplain.engine.methods import METHODS, EngineMethod
from onnxplain.graphops.lazy_import import on_first_use

if TYPE_CHECKING:
    from onnxplain.engine.choices import Choices
    from onnxplain.engine.default_engine import explain
    from onnxplain.engine.drawing import View
    from onnxplain.engine.engine import Engine
    from onnxplain.engine.evaluation import Evaluation, Evaluations, class_methods, evaluate
    from onnxplain.engine.explanation import Explanation
    from onnxplain.engine.pictures import PRESETS, Preprocess, bake_preprocess, read_picture
    from onnxplain.engine.runtime import Measurement, RunCost, measure, verify
    from onnxplain.engine.views import (
        VIEWS,
        Covered,
        Curve,
        Found,
        Invariance,
        SideBySide,
        Sliding,
        Strongest,
        Training,
        covered,
        invariance,
        maps,
        slide,
        strongest_pictures,
        through_training,
    )

__all__ = [
    "METHODS",
    "PRESETS",
    "VIEWS",
    "Choices",
    "Covered",
    "Curve",
    "Engine",
    "EngineMethod",
    "Evaluation",
    "Evaluations",
    "Explanation",
    "Found",
    "Invariance",
    "Measurement",
    "Preprocess",
    "RunCost",
    "SideBySide",
    "Sliding",
    "Strongest",
    "Training",
    "View",
    "bake_preprocess",
    "class_methods",
    "covered",
    "evaluate",
    "explain",
    "invariance",
    "maps",
    "measure",
    "read_picture",
    "slide",
    "strongest_pictures",
    "through_training",
    "verify",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Choices": "choices",
        "Covered": "views",
        "Curve": "views",
        "Engine": "engine",
        "Evaluation": "evaluation",
        "Evaluations": "evaluation",
        "Explanation": "explanation",
        "Found": "views",
        "Invariance": "views",
        "Measurement": "runtime",
        "PRESETS": "pictures",
        "Preprocess": "pictures",
        "RunCost": "runtime",
        "SideBySide": "views",
        "Sliding": "views",
        "Strongest": "views",
        "Training": "views",
        "VIEWS": "views",
        "View": "drawing",
        "bake_preprocess": "pictures",
        "class_methods": "evaluation",
        "covered": "views",
        "evaluate": "evaluation",
        "explain": "default_engine",
        "invariance": "views",
        "maps": "views",
        "measure": "runtime",
        "read_picture": "pictures",
        "slide": "views",
        "strongest_pictures": "views",
        "through_training": "views",
        "verify": "runtime",
    },
)
