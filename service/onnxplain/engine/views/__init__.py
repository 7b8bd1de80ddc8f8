"""The views: side by side, top pictures, training, invariance, occlusion and sliding window.

Names are imported on first use: a view's declaration imports neither NumPy nor onnx.
"""

from typing import TYPE_CHECKING

from onnxplain.engine.views.catalogue import DECLARED_VIEWS, VIEWS
from onnxplain.engine.views.declarations import ViewArgument, ViewCommand, ViewDeclaration
from onnxplain.graphops.lazy_import import on_first_use

if TYPE_CHECKING:
    from onnxplain.engine.views.occlusion import Covered, covered
    from onnxplain.engine.views.predictions import (
        choose_class,
        class_probabilities,
        class_quantity,
        class_scores,
    )
    from onnxplain.engine.views.side_by_side import SideBySide, maps
    from onnxplain.engine.views.sliding_window import Sliding, slide
    from onnxplain.engine.views.top import Found, Strongest, strongest_pictures
    from onnxplain.engine.views.training import Training, through_training
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
    "covered",
    "invariance",
    "maps",
    "slide",
    "strongest_pictures",
    "through_training",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Covered": "occlusion",
        "Curve": "transformations",
        "Found": "top",
        "Invariance": "transformations",
        "SideBySide": "side_by_side",
        "Sliding": "sliding_window",
        "Strongest": "top",
        "Training": "training",
        "choose_class": "predictions",
        "class_probabilities": "predictions",
        "class_quantity": "predictions",
        "class_scores": "predictions",
        "covered": "occlusion",
        "invariance": "transformations",
        "maps": "side_by_side",
        "slide": "sliding_window",
        "strongest_pictures": "top",
        "through_training": "training",
    },
)
