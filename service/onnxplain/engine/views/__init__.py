"""The views: side by side, top pictures, training, invariance, occlusion and sliding window.

Names are imported on first use: a view's declaration imports neither NumPy nor onnx.
"""

from typing import TYPE_CHECKING

from onnxplain.engine.views.catalogue import DECLARED_VIEWS, VIEWS
from onnxplain.engine.views.declarations import ViewArgument, ViewCommand, ViewDeclaration
from onnxplain.graphops.lazy_import import on_first_use

if TYPE_CHECKING:
    from onnxplain.engine.views.checkpoints import Training, training
    from onnxplain.engine.views.covering import Covered, occlusion
    from onnxplain.engine.views.each_method import explain_by_each, maps
    from onnxplain.engine.views.predictions import (
        choose_class,
        class_probabilities,
        class_quantity,
        class_scores,
    )
    from onnxplain.engine.views.side_by_side import SideBySide
    from onnxplain.engine.views.sliding_window import Sliding, slide
    from onnxplain.engine.views.top_pictures import Found, Strongest, top
    from onnxplain.engine.views.transformations import Curve, Invariance, invariance

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
    "choose_class",
    "class_probabilities",
    "class_quantity",
    "class_scores",
    "explain_by_each",
    "invariance",
    "maps",
    "occlusion",
    "slide",
    "top",
    "training",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Covered": "covering",
        "Curve": "transformations",
        "Found": "top_pictures",
        "Invariance": "transformations",
        "SideBySide": "side_by_side",
        "Sliding": "sliding_window",
        "Strongest": "top_pictures",
        "Training": "checkpoints",
        "choose_class": "predictions",
        "class_probabilities": "predictions",
        "class_quantity": "predictions",
        "class_scores": "predictions",
        "explain_by_each": "each_method",
        "invariance": "transformations",
        "maps": "each_method",
        "occlusion": "covering",
        "slide": "sliding_window",
        "top": "top_pictures",
        "training": "checkpoints",
    },
)
