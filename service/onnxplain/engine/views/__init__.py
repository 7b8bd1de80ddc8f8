"""What people look at: top, training, invariance, occlusion, sliding window, side by side.

Names are loaded on first use: a view's declaration imports neither numpy nor onnx.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from onnxplain.engine.views.catalogue import DECLARED_VIEWS, VIEWS
from onnxplain.engine.views.declarations import ViewArgument, ViewCommand, ViewDeclaration

if TYPE_CHECKING:
    from onnxplain.engine.views.occlusion import Covered, covered
    from onnxplain.engine.views.predictions import class_probabilities, class_scores
    from onnxplain.engine.views.side_by_side import SideBySide, maps
    from onnxplain.engine.views.sliding_window import Sliding, slide
    from onnxplain.engine.views.top import Found, Strongest, strongest_pictures
    from onnxplain.engine.views.training import Training, through_training
    from onnxplain.engine.views.transformations import Curve, Invariance, invariance
else:
    ORIGINS = {
        "predictions": ("class_probabilities", "class_scores"),
        "occlusion": ("Covered", "covered"),
        "side_by_side": ("SideBySide", "maps"),
        "sliding_window": ("Sliding", "slide"),
        "top": ("Found", "Strongest", "strongest_pictures"),
        "training": ("Training", "through_training"),
        "transformations": ("Curve", "Invariance", "invariance"),
    }

    def __getattr__(name: str) -> Any:
        for module, names in ORIGINS.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


__all__ = [
    "DECLARED_VIEWS",
    "VIEWS",
    "Covered",
    "Curve",
    "Found",
    "Invariance",
    "SideBySide",
    "Sliding",
    "Strongest",
    "Training",
    "ViewArgument",
    "ViewCommand",
    "ViewDeclaration",
    "class_probabilities",
    "class_scores",
    "covered",
    "invariance",
    "maps",
    "slide",
    "strongest_pictures",
    "through_training",
]
