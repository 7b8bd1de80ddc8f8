"""The choices of an explanation, and the rewriter's options that follow from them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.labels import Labels, read_labels
from onnxplain.engine.methods import METHODS, method_options
from onnxplain.engine.pictures import Images, NamedInputs, PreparedInputs, Preprocess
from onnxplain.engine.runtime import OpenedModel, Subject, stored_labels
from onnxplain.graphops import Layer, Method, Options
from onnxplain.graphops.chosen_options import default_position
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.methods import require_taken
from onnxplain.graphops.options import HIGH, LOW

if TYPE_CHECKING:
    from onnxplain.engine.choices import Choices

__all__ = ["CheckedChoices", "positioned", "class_labels", "to_options"]


@dataclass(frozen=True, eq=False, kw_only=True)
class CheckedChoices:
    """The choices of an explanation, checked, with the values of the method's own options.

    position: where the signal starts: "all", "max", or coordinates, of one position for all
        units or one for each, [images, units, rank]; None for the method's default.
    region: a mask of the layer's positions, in place of a position: a picture that is light
        inside, a .npy file or an array of weights, of the size of the layer or the picture.
    seed_value: what the signal starts with, "activation" or "one"; None for the method's
        default.
    negate: explain the evidence against the unit: the signal starts with the opposite sign.
    to: the tensor projected back to, or "all" for every float input; None for the picture.
    inputs: the values of the network's further inputs by name, given as images are.
    unpool: the form of max-unpooling, "maxunpool", "scatter", "portable" or "window"; None for
        what suits the pool and the device.
    channel_axis: the layer's channel axis, counted with the batch axis; None for what the
        network tells.
    preprocess: a Preprocess, or its text as on the command line, "unit" or
        "raw_bgr,size=224x224"; None for the model's own, or a guess.
    labels: class names by channel: a list, a text file of one name a line, or "imagenet"; None
        for the model's own.
    names: the names of the pictures in a drawing of several; None for their file names.
    bands: of arrays with more than three channels, the one or three that a drawing shows; None
        for the mean.
    timeout: seconds after which Cancelled is raised; None for no limit.
    cancel: an event after which, once set, Cancelled is raised.
    progress: called with the number of projections done and their total.
    passes: called with the number of runs done for the current projections and their total, by
        methods of many runs.
    own: the values of the method's own options, defaults included.
    """

    position: str | Sequence[int] | npt.NDArray[np.int64] | None = None
    region: Images | None = None
    seed_value: str | None = None
    negate: bool | None = False
    to: str | None = None
    inputs: NamedInputs | None = None
    unpool: str | None = None
    channel_axis: int | None = None
    preprocess: Preprocess | str | None = None
    labels: Labels | None = None
    names: Sequence[str] | None = None
    bands: Sequence[int] | None = None
    timeout: float | None = None
    cancel: threading.Event | None = None
    progress: Callable[[int, int], None] | None = None
    passes: Callable[[int, int], None] | None = None
    own: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(method: Method, given: Choices) -> CheckedChoices:
        """Check the keyword arguments of `explain`.

        Args:
            method: the method, whose options may be among them.
            given: the arguments by name.

        Returns:
            The choices, with the method's options in `own`.

        Raises:
            TypeError: an unknown name, as for any Python function.
            OptionError: an option of other methods only, or a value out of bounds.
        """
        general = {f.name for f in fields(CheckedChoices)} - {"own"}
        own = {name: value for name, value in given.items() if name not in general}
        known = {*method_options(), *(option.name for option in method.takes)}
        for name in own.keys() - known:
            raise TypeError(f"explain() got an unexpected keyword argument '{name}'")
        require_taken(method, [n for n, value in own.items() if value is not None], METHODS)
        chosen: dict[str, Any] = {name: value for name, value in given.items() if name in general}
        chosen["labels"] = read_labels(chosen.get("labels"))
        return CheckedChoices(**chosen, own=method.own(own))


def class_labels(
    opened: OpenedModel, layer: Layer, whole: bool, choices: CheckedChoices
) -> tuple[str, ...]:
    """Return the class names of a layer's channels, none where these are no classes."""
    if whole or not {"class score", "output"} & set(layer.marks):
        return ()
    score = opened.network.class_score
    if score is not None and score.output == layer.tensor and score.row:
        return ()  # its channels are rows of other things too
    given = read_labels(choices.labels)
    return stored_labels(opened.model) if given is None else given


def positioned(options: Options, method: Method, subject: Subject) -> Options:
    """Return the options with the position where the signal starts, if none was chosen.

    Of a layer with a single position, such as pooled class scores, that is all: the result then
    names no position.
    """
    layer = subject.layer
    if options.select == "whole" or options.position is not None or layer.shape is None:
        return options
    is_score = subject.score is not None
    shape = list(layer.shape)
    single = all(size == 1 for i, size in enumerate(shape) if i not in (0, layer.channel_axis))
    position = default_position(method, is_score, shape, layer.channel_axis)
    return replace(options, position="all" if single and position == "max" else position)


def to_options(
    choices: CheckedChoices, method: Method, whole: bool, prepared: PreparedInputs
) -> Options:
    """Return the rewriter's options. Raises OptionError for an unknown word."""
    position = choices.position
    if isinstance(position, str) and position == "given":
        raise OptionError("position 'given' names no position: give its coordinates instead")
    if choices.region is not None and position is None:
        position = "region"
    if (choices.region is not None) != (isinstance(position, str) and position == "region"):
        raise OptionError(
            "a region and another position exclude each other: leave one of them out"
            if choices.region is not None
            else "position 'region' needs a mask: give it by `region`"
        )
    own: dict[str, Any] = {}
    if method.exportable and not method.accumulated:
        own = {o.name: choices.own[o.name] for o in method.takes if not o.input}
    for name in own.keys() & {LOW.name, HIGH.name}:
        own[name] = tuple(np.atleast_1d(own[name]).astype(float).tolist())
    if LOW.name in own and not own["low"] and not own["high"] and prepared.preprocess:
        own["low"], own["high"] = (tuple(ends.tolist()) for ends in prepared.preprocess.ends())
    general: dict[str, Any] = {
        "select": "whole" if whole else None,
        "position": position if position is None or isinstance(position, str) else "given",
        "seed_value": choices.seed_value,
        "negate": choices.negate,
        "to": choices.to,
        "unpool": choices.unpool,
        "channel_axis": choices.channel_axis,
        "backward": "float32",  # in half precision, LRP's small signals underflow to zero
        "keep_outputs": False,
    }
    return Options(**general, **own)
