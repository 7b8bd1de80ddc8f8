"""The views, each declared once.

A view's message in explain.proto has a field for each of its arguments, and its comment names the
arrays: a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from onnxplain.engine.views.declarations import ViewArgument, ViewCommand, ViewDeclaration

if TYPE_CHECKING:
    from onnxplain.engine.drawing import View

__all__ = ["DECLARED_VIEWS", "VIEWS"]

LAYER_HELP = "tensor, node or module (default: the class score)"
CLASS = ViewArgument(
    "class_index", "integer", "a class (default: the predicted one)", flag="--class", metavar="C"
)
METHOD = ViewArgument(
    "method", "text", "method of the projections", "deconvnet", "--method", "METHOD"
)
PICTURE_NAMES = ViewArgument("names", "text", many=True)

MAPS = ViewDeclaration(
    name="maps",
    function="onnxplain.engine.views.side_by_side:maps",
    pictures="several",
    passes=True,
    arguments=(
        ViewArgument("layer", "text"),
        ViewArgument("methods", "text", default=("deconvnet",), many=True),
        ViewArgument("units", "units"),
        ViewArgument("method_options", "method_options"),
        PICTURE_NAMES,
    ),
    arrays={
        "attribution": "float [pictures, units, ...], in the shape of the tensor projected back to",
        "score": "float [pictures, units], the scores projected back",
        "channels": "int64 [pictures, units], the units, -1 for the whole layer",
        "position": "int64 [pictures, units, rank], of units that have one position each",
        "completeness_error": "float [pictures, units], of methods with a law of conservation",
        "layer": "text, the layer's tensor",
        "to": "text, the tensor projected back to",
        "method": "text, the method",
        "seed_value": "text, what the backward pass started with",
        "labels": "text [classes], their names, where the layer is the class score",
        "names": "text [pictures], what the pictures are called",
        "notes": "text [notes], what was assumed, or looks odd",
        "METHOD.NAME": "each of these, by each of several methods",
    },
)

TOP = ViewDeclaration(
    name="top",
    function="onnxplain.engine.views.top:strongest_pictures",
    pictures="several",
    arguments=(
        ViewArgument(
            "layer", "text", "tensor, node or module", None, "--layer", "LAYER", required=True
        ),
        ViewArgument(
            "channels",
            "channels",
            "channels of the layer",
            None,
            "--channel",
            "C[,C]|A:B",
            required=True,
        ),
        ViewArgument("count", "integer", "pictures of each channel", 9, "--count"),
        METHOD,
        PICTURE_NAMES,
    ),
    arrays={
        "channels": "int64 [rows], the channel of each row",
        "picture": "int64 [rows, count], which of the pictures, from 0, the strongest first",
        "name": "text [rows, count], what these are called",
        "score": "float [rows, count], the channel's maximum in the picture",
        "position": "int64 [rows, count, rank], where in the layer the maximum is",
        "box": "int64 [rows, count, 4], top, left, bottom and right of the pixels seen from there",
        "patch.ROW.PICTURE": "uint8 [height, width, 3], these pixels",
        "projection.ROW.PICTURE": "float [channels, height, width], the projection to these pixels",
        "layer": "text, the layer's tensor",
        "method": "text, the method",
    },
    command=ViewCommand(
        help="draw what excites channels most, of a folder of pictures",
        description="Draw, for each channel, the pictures of a folder that excite it most: the "
        "patch that the unit sees where it is strongest, and its projection.",
        doing="looking for the strongest",
        rows="onnxplain.engine.views.top:rows",
        columns=("channel", "picture", "score", "position"),
    ),
)

TRAINING = ViewDeclaration(
    name="training",
    function="onnxplain.engine.views.training:through_training",
    models="several",
    arguments=(
        ViewArgument("layer", "text", LAYER_HELP, None, "--layer", "LAYER"),
        ViewArgument(
            "units", "units", "channels, or the last checkpoint's K strongest (default: top:1)",
            None, "--channel", "C[,C]|A:B|top:K",
        ),
        METHOD,
    ),
    arrays={
        "attribution": "float [checkpoints, units, ...], the projections to the picture",
        "score": "float [checkpoints, units], the scores projected back",
        "channels": "int64 [units], the units",
        "checkpoints": "text [checkpoints], their names",
        "layer": "text, the layer's tensor",
        "method": "text, the method",
    },
    command=ViewCommand(
        help="draw a layer's channels through training",
        description="Draw the same channels of a layer at several checkpoints, one row a channel, "
        "one column a checkpoint.",
        doing="explaining the checkpoints",
    ),
)  # fmt: skip

INVARIANCE = ViewDeclaration(
    name="invariance",
    function="onnxplain.engine.views.transformations:invariance",
    arguments=(
        ViewArgument(
            "layers", "text", "tensor, node or module; may be repeated", None, "--layer", "LAYER",
            required=True, many=True,
        ),
        CLASS,
    ),
    arrays={
        "CHANGE.amounts": "float [steps], of the change: translation, scale or rotation",
        "CHANGE.probability": "float [steps], of the class",
        "CHANGE.distance.LAYER": "float [steps], of the layer's values from those of the untouched "
        "picture, over the norm of these",
        "class": "int64, the class",
        "label": "text, its name",
    },
    command=ViewCommand(
        help="draw how a network answers a picture moved, resized and turned",
        description="Translate, scale and rotate a picture: draw how far each layer's values go "
        "from those of the untouched picture, and the probability of its class.",
        doing="explaining",
    ),
)  # fmt: skip

OCCLUSION = ViewDeclaration(
    name="occlusion",
    function="onnxplain.engine.views.occlusion:covered",
    arguments=(
        ViewArgument("layer", "text", LAYER_HELP, None, "--layer", "LAYER"),
        ViewArgument(
            "channel", "integer", "a channel (default: the layer's strongest)", None, "--channel",
            "C",
        ),
        CLASS,
        ViewArgument(
            "window", "integer", "the square's side in pixels (default: an eighth of the longer "
            "side of the picture)", None, "--window",
        ),
        ViewArgument(
            "stride", "integer", "pixels from one place to the next (default: half of the window)",
            None, "--stride",
        ),
    ),
    arrays={
        "probability": "float [rows, columns], of the class, for each place of the square",
        "strength": "float [rows, columns], the channel's sum, for each place of the square",
        "untouched": "float [2], both of the picture itself",
        "rows": "int64 [rows], the first row of pixels that the square covers",
        "columns": "int64 [columns], the first column of pixels that the square covers",
        "window": "int64, the square's side in pixels",
        "class": "int64, the class",
        "label": "text, its name",
        "layer": "text, the layer's tensor",
        "channel": "int64, the channel",
    },
    command=ViewCommand(
        help="draw what covering parts of a picture changes",
        description="Slide a grey square over a picture: draw the probability of its class and a "
        "channel's strength for each place of the square.",
        doing="covering",
        summary="onnxplain.engine.views.occlusion:summary",
    ),
)  # fmt: skip

SLIDE = ViewDeclaration(
    name="slide",
    function="onnxplain.engine.views.sliding_window:slide",
    arguments=(
        ViewArgument(
            "channel", "integer", "the class (default: the one with the strongest window)", None,
            "--channel", "C",
        ),
        ViewArgument(
            "size", "size", "the window's height and width, where the model leaves its picture's "
            "size free", None, "--size", "HxW",
        ),
    ),
    arrays={
        "scores": "float [rows, columns], of the class, for each window",
        "quantity": "text, what the scores are: score, probability or log probability",
        "best": "int64 [2], row and column of the strongest window",
        "channel": "int64, the class",
        "label": "text, its name",
        "window": "int64 [2], height and width in pixels",
        "stride": "int64 [2], pixels from one window to the next, down and across",
    },
    command=ViewCommand(
        help="draw a class's heat map of a picture larger than the network's",
        description="Slide a classifier over a picture larger than its own, in one run, and draw "
        "the score that each window gives a class beside the picture.",
        doing="sliding",
        model_help=": a classifier, or what `convolutionalize` wrote",
        summary="onnxplain.engine.views.sliding_window:summary",
    ),
)  # fmt: skip

DECLARED_VIEWS: Mapping[str, ViewDeclaration] = {
    view.name: view for view in (MAPS, TOP, TRAINING, INVARIANCE, OCCLUSION, SLIDE)
}


class _Functions(Mapping[str, Callable[..., "View"]]):
    """The views' functions by the views' names, each imported when it is looked up."""

    def __getitem__(self, name: str) -> Callable[..., View]:
        return DECLARED_VIEWS[name].resolve()

    def __iter__(self) -> Iterator[str]:
        return iter(DECLARED_VIEWS)

    def __len__(self) -> int:
        return len(DECLARED_VIEWS)


VIEWS: Mapping[str, Callable[..., View]] = _Functions()
