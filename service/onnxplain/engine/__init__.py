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
    from onnxplain.engine.default_engine import (
        evaluate,
        explain,
        invariance,
        maps,
        occlusion,
        slide,
        top,
        training,
    )
    from onnxplain.engine.drawing import View
    from onnxplain.engine.engine import Engine
    from onnxplain.engine.evaluation import Evaluation, Evaluations, class_methods
    from onnxplain.engine.explanation import Explanation
    from onnxplain.engine.pictures import PRESETS, Preprocess, bake_preprocess, read_picture
    from onnxplain.engine.runtime import (
        InstallationWarning,
        Measurement,
        RunCost,
        measure,
        verify,
    )
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
    "InstallationWarning",
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
    "evaluate",
    "explain",
    "invariance",
    "maps",
    "measure",
    "occlusion",
    "read_picture",
    "slide",
    "top",
    "training",
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
        "InstallationWarning": "runtime",
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
        "evaluate": "default_engine",
        "explain": "default_engine",
        "invariance": "default_engine",
        "maps": "default_engine",
        "measure": "runtime",
        "occlusion": "default_engine",
        "read_picture": "pictures",
        "slide": "default_engine",
        "top": "default_engine",
        "training": "default_engine",
        "verify": "runtime",
    },
)
