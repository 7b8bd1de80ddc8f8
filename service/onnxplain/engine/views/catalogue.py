"""The views, each declared once.

A view's message in explain.proto has a field for each argument, and its comment lists the arrays: a
test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from onnxplain.engine.views.declarations import ViewArgument, ViewCommand, ViewDeclaration
from onnxplain.graphops.methods import DEFAULT_METHOD

if TYPE_CHECKING:
    from onnxplain.engine.drawing import View

__all__ = ["DECLARED_VIEWS", "VIEWS"]

LAYER_HELP = "tensor, node or module (default: the class score)"
CLASS_WORDS = "the class, by its index or its name in --labels or in the model's metadata"
CLASS = ViewArgument(
    "class_index", "class", f"{CLASS_WORDS} (default: the predicted one)", None, "--class", "CLASS"
)
METHOD = ViewArgument(
    "method", "text", "the method of the projections", DEFAULT_METHOD, "--method", "METHOD"
)
PICTURE_NAMES = ViewArgument("names", "text", many=True)

MAPS = ViewDeclaration(
    name="maps",
    function="onnxplain.engine.views.side_by_side:maps",
    pictures="several",
    passes=True,
    arguments=(
        ViewArgument("layer", "text"),
        ViewArgument("methods", "text", default=(DEFAULT_METHOD,), many=True),
        ViewArgument("units", "units"),
        ViewArgument("method_options", "method_options"),
        PICTURE_NAMES,
    ),
    arrays={
        "attribution": "float [pictures, units, ...], the shape of the tensor projected back to",
        "score": "float [pictures, units], the units' scores",
        "channels": "int64 [pictures, units], the units' channels, -1 for the whole layer",
        "position": "int64 [pictures, units, rank], the units' positions, if they have one each",
        "box": "int64 [pictures, units, 4], top, left, bottom and right of the positions' "
        "receptive fields in pixels of the network's input, if they have one each",
        "completeness_error": "float [pictures, units], the violation of the method's conservation "
        "law, if it has one",
        "probability": "float [pictures, units], the network's own probabilities of the units, if "
        "the layer is a class score that a Softmax or Sigmoid follows",
        "layer": "text, the layer's tensor",
        "to": "text, the tensor projected back to",
        "method": "text, the method",
        "seed_value": "text, the value that the signal starts with",
        "labels": "text [classes], the classes' names, if the layer is the class score",
        "names": "text [pictures], the pictures' names",
        "notes": "text [notes], assumptions, and oddities of the result",
        "METHOD.NAME": "each of these, by each of several methods",
    },
)

TOP = ViewDeclaration(
    name="top",
    function="onnxplain.engine.views.top_pictures:top",
    pictures="several",
    arguments=(
        ViewArgument(
            "layer", "text", "tensor, node or module", None, "--layer", "LAYER", required=True
        ),
        ViewArgument(
            "channels",
            "channels",
            "the layer's channels, or the K that stand out most (default: top:9)",
            None,
            "--channel",
            "C[,C]|A:B|top:K|all",
        ),
        ViewArgument("count", "integer", "the number of pictures per channel", 9, "--count"),
        METHOD,
        PICTURE_NAMES,
    ),
    arrays={
        "channels": "int64 [rows], the channel of each row",
        "picture": "int64 [rows, count], indices of pictures, from 0, the strongest first",
        "name": "text [rows, count], the names of these pictures",
        "score": "float [rows, count], the channel's maximum in the picture",
        "position": "int64 [rows, count, rank], the maximum's position in the layer",
        "box": "int64 [rows, count, 4], top, left, bottom and right of the position's receptive "
        "field in pixels",
        "patch.ROW.PICTURE": "uint8 [height, width, 3], the pixels in the box",
        "projection.ROW.PICTURE": "float [channels, height, width], the projection to these pixels",
        "layer": "text, the layer's tensor",
        "method": "text, the method",
        "skipped": "text [skipped], the names of the pictures that could not be read",
    },
    command=ViewCommand(
        help="draw the pictures of a folder that excite channels most",
        description="Draw, for each channel, the pictures of a folder that excite it most: the "
        "patch that the channel sees at its strongest position, and its projection. Channels stand "
        "out by the mean of their maxima in these pictures, less the mean of all their values, in "
        "standard deviations of these; classes by their scores. Pictures that cannot be read are "
        "skipped. Over 24 channels take several pages: of a PDF, or files with numbers in their "
        "names.",
        doing="searching the pictures",
        rows="onnxplain.engine.views.top_pictures:rows",
        columns=("channel", "name", "score", "position"),
    ),
)

TRAINING = ViewDeclaration(
    name="training",
    function="onnxplain.engine.views.checkpoints:training",
    models="several",
    arguments=(
        ViewArgument("layer", "text", LAYER_HELP, None, "--layer", "LAYER"),
        ViewArgument(
            "units", "units", "channels, or the K strongest of the last checkpoint (default: "
            "top:1)", None, "--channel", "C[,C]|A:B|top:K",
        ),
        METHOD,
    ),
    arrays={
        "attribution": "float [checkpoints, units, ...], the projections to the picture",
        "score": "float [checkpoints, units], the units' scores",
        "channels": "int64 [units], the units' channels, -1 for the whole layer",
        "checkpoints": "text [checkpoints], the checkpoints' names",
        "layer": "text, the layer's tensor",
        "method": "text, the method",
    },
    command=ViewCommand(
        help="draw a layer's channels through training",
        description="Draw the same channels of a layer at several checkpoints, one row per "
        "channel, one column per checkpoint.",
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
        "CHANGE.amounts": "float [steps], the amounts of translation, scale or rotation",
        "CHANGE.probability": "float [steps], the probability of the class, or its value",
        "CHANGE.distance.LAYER": "float [steps], the distance of the layer's values from those of "
        "the unchanged picture, over the norm of the latter",
        "class": "int64, the class",
        "label": "text, the class's name",
        "quantity": "text, the quantity of the class: probability, or value for a regression",
    },
    command=ViewCommand(
        help="draw how a network responds to a picture translated, scaled and rotated",
        description="Translate, scale and rotate a picture: draw the distance of each layer's "
        "values from those of the unchanged picture, and the probability of its class.",
        doing="explaining",
    ),
)  # fmt: skip

OCCLUSION = ViewDeclaration(
    name="occlusion",
    function="onnxplain.engine.views.covering:occlusion",
    arguments=(
        ViewArgument("layer", "text", LAYER_HELP, None, "--layer", "LAYER"),
        ViewArgument(
            "channel", "integer", "the channel (default: the layer's strongest)", None,
            "--channel", "C",
        ),
        CLASS,
        ViewArgument(
            "window", "integer", "the square's side in pixels (default: an eighth of the picture's "
            "longer side)", None, "--window",
        ),
        ViewArgument(
            "stride", "integer", "the square's step in pixels (default: half of the window)", None,
            "--stride",
        ),
    ),
    arrays={
        "probability": "float [rows, columns], the probability of the class, or its value, by the "
        "square's position",
        "quantity": "text, the quantity of the class: probability, or value for a regression",
        "strength": "float [rows, columns], the sum of the channel's values, by the square's "
        "position",
        "untouched": "float [2], both for the uncovered picture",
        "rows": "int64 [rows], the first row of pixels that the square covers",
        "columns": "int64 [columns], the first column of pixels that the square covers",
        "window": "int64, the square's side in pixels",
        "class": "int64, the class",
        "label": "text, the class's name",
        "layer": "text, the layer's tensor",
        "channel": "int64, the channel",
    },
    command=ViewCommand(
        help="draw the effect of covering parts of a picture",
        description="Slide a grey square over a picture: draw the probability of its class and the "
        "strength of a channel for each position of the square.",
        doing="covering",
        summary="onnxplain.engine.views.covering:summary",
    ),
)  # fmt: skip

SLIDE = ViewDeclaration(
    name="slide",
    function="onnxplain.engine.views.sliding_window:slide",
    arguments=(
        ViewArgument(
            "channel", "class", f"{CLASS_WORDS} (default: the one with the strongest window)",
            None, "--class", "CLASS", alias="--channel",
        ),
        ViewArgument(
            "size", "size", "the window's height and width, if the model leaves the picture's "
            "free", None, "--size", "HxW",
        ),
    ),
    arrays={
        "scores": "float [rows, columns], the score of the class in each window",
        "quantity": "text, the quantity of the scores: score, probability, log probability or "
        "value",
        "best": "int64 [2], row and column of the strongest window",
        "channel": "int64, the class",
        "label": "text, the class's name",
        "window": "int64 [2], the window's height and width in pixels",
        "stride": "int64 [2], the distance between windows in pixels, down and across",
    },
    command=ViewCommand(
        help="draw a class's heat map of a picture larger than the network's",
        description="Slide a classifier over a picture larger than its own, in one run, and draw "
        "the score of a class in each window beside the picture.",
        doing="sliding",
        model_help=": a classifier, or the output of `convolutionalize`",
        summary="onnxplain.engine.views.sliding_window:summary",
    ),
)  # fmt: skip

DECLARED_VIEWS: Mapping[str, ViewDeclaration] = {
    view.name: view for view in (MAPS, TOP, TRAINING, INVARIANCE, OCCLUSION, SLIDE)
}


class _ViewFunctions(Mapping[str, Callable[..., "View"]]):
    """The functions of the views by name, each imported when it is looked up."""

    def __getitem__(self, name: str) -> Callable[..., View]:
        return DECLARED_VIEWS[name].resolve()

    def __iter__(self) -> Iterator[str]:
        return iter(DECLARED_VIEWS)

    def __len__(self) -> int:
        return len(DECLARED_VIEWS)


VIEWS: Mapping[str, Callable[..., View]] = _ViewFunctions()
