"""Runs rewritten graphs on ONNX Runtime: explanations of pictures, as arrays and as drawings.

from onnxplain.engine import explain

explanation = explain("model.onnx", "cat.png", layer="layer4", units="top:9")
explanation.save("cat-layer4.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxplain.engine.drawing import View
    from onnxplain.engine.engine import Choices, Engine, explain
    from onnxplain.engine.evaluation import Evaluation, class_methods, evaluate
    from onnxplain.engine.explanation import Explanation
    from onnxplain.engine.pictures import PRESETS, Preprocess, read_picture
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
else:
    ORIGINS = {
        "drawing": ("View",),
        "engine": ("Choices", "Engine", "explain"),
        "evaluation": ("Evaluation", "class_methods", "evaluate"),
        "explanation": ("Explanation",),
        "pictures": ("PRESETS", "Preprocess", "read_picture"),
        "views": (
            "VIEWS", "Covered", "Curve", "Found", "Invariance", "SideBySide", "Sliding",
            "Strongest", "Training", "covered", "invariance", "maps", "slide",
            "strongest_pictures", "through_training",
        ),
    }  # fmt: skip

    def __getattr__(name: str) -> Any:
        for module, names in ORIGINS.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


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
