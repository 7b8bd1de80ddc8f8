"""The requests of View and Evaluate as the engine's arguments, and its results as messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxplain.engine import Engine, Evaluations, View
from onnxplain.engine.views import DECLARED_VIEWS, ViewArgument, ViewDeclaration
from onnxplain.graphops.errors import InputError, OptionError
from onnxplain.server.worker.drawings import Drawing, drawing_of
from onnxplain.server.worker.progress import ProgressQueue
from onnxplain.server.worker.requests import (
    images_of,
    method_options_of,
    preprocess_of,
    units_of,
)
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

__all__ = [
    "ViewCall",
    "evaluate_arguments",
    "evaluate_parts",
    "size_of",
    "view_call",
]


@dataclass(frozen=True)
class ViewCall:
    """A view to compute, with its arguments.

    models: resource names; a view of one model takes the last. arguments: the other keyword
    arguments of the view's function, except `progress` and `passes`. drawing: how it is drawn.
    """

    view: ViewDeclaration
    models: tuple[str, ...]
    pictures: list[Any]
    arguments: dict[str, Any]
    drawing: Drawing

    def compute(
        self, engine: Engine, paths: Sequence[str], progress: ProgressQueue[pb.ViewResponse]
    ) -> View:
        """Compute the view of the models in `paths`, and report the progress."""
        return self.view.compute(
            engine, paths, self.pictures, progress.steps, progress.runs, **self.arguments
        )

    def parts(self, view: View) -> Iterator[pb.ViewResponse]:
        """Yield a view's notes, its drawing and its arrays as messages. Raises OptionError."""
        for note in view.notes:
            yield pb.ViewResponse(note=note)
        yield from self.drawing.parts(view)
        for name, array in view.arrays().items():
            if array.dtype.kind == "U":
                texts = pb.NamedTexts(name=name, shape=array.shape, texts=array.ravel().tolist())
                yield pb.ViewResponse(texts=texts)
                continue
            for part in tensors.split(array):
                yield pb.ViewResponse(tensor=pb.NamedTensor(name=name, values=part))


def view_call(request: pb.ViewRequest) -> ViewCall:
    """Return the view that a request selects. Raises InputError or OptionError."""
    name = request.WhichOneof("view")
    if name is None:
        raise InputError(f"view: none is set; set one of {', '.join(DECLARED_VIEWS)}")
    view, message = DECLARED_VIEWS[name], getattr(request, name)
    models = [request.model]
    arguments: dict[str, Any] = {
        "labels": tuple(request.labels) or None,
        "preprocess": preprocess_of(request),
    }
    for argument in view.arguments:
        arguments |= _keywords(argument, message)
    if view.models == "several":
        models = [*message.earlier, request.model]
        arguments["names"] = _shown_names(models)
    pictures = _pictures("images", request.images)
    if view.pictures == "one" and len(pictures) != 1:
        raise InputError(f"images: the view '{name}' takes one, not {len(pictures)}")
    return ViewCall(view, tuple(models), pictures, arguments, drawing_of(request))


def _shown_names(models: Sequence[str]) -> list[str]:
    """Return how models are named in a drawing: without versions, unless these tell them apart."""
    names = [model.removeprefix("models/") for model in models]
    short = [name.partition("/")[0] for name in names]
    return short if len(set(short)) == len(names) else names


def _keywords(argument: ViewArgument, message: Any) -> dict[str, Any]:
    """Return an argument's value in a view's message as keywords; none where it is not set."""
    match argument.type:
        case "method_options":
            return method_options_of(message)
        case "size":
            return {argument.name: size_of(message)}
        case "channels":
            return {argument.name: _channels(message)}
        case "units":
            return {argument.name: units_of(getattr(message, argument.name))}
    fields = {field.name: value for field, value in message.ListFields()}
    value = fields.get(argument.name, argument.default)
    if value is None:
        return {}
    return {argument.name: list(value) if argument.many else value}


def _channels(message: Any) -> str | list[int] | None:
    """Return the channels that a view's message selects, None where it selects none."""
    chosen = [list(message.channels), "all" if message.all else "", message.top]
    if sum(map(bool, chosen)) > 1:
        raise InputError("channels, all, top: set only one of them")
    return f"top:{message.top}" if message.top else chosen[0] or chosen[1] or None


def evaluate_arguments(request: pb.EvaluateRequest) -> dict[str, Any]:
    """Return the arguments of `engine.evaluate`, except the model. Raises InputError."""
    return {
        "pictures": _pictures("images", request.images),
        "methods": list(request.methods) or None,
        "masks": _pictures("masks", request.masks) if request.masks else (),
        "randomize": request.randomize,
        "class_index": request.class_index if request.HasField("class_index") else None,
        "preprocess": preprocess_of(request),
    }


def evaluate_parts(evaluations: Evaluations) -> Iterator[pb.EvaluateResponse]:
    """Yield each method's evaluation as a message, then each method that refused."""
    for evaluation in evaluations:
        yield pb.EvaluateResponse(
            method=pb.MethodEvaluation(
                method=evaluation.method,
                deletion=evaluation.deletion,
                insertion=evaluation.insertion,
                deletion_area=evaluation.deletion_area,
                insertion_area=evaluation.insertion_area,
                pointing=evaluation.pointing,
                mass=evaluation.mass,
                randomization=evaluation.randomization,
            )
        )
    for method, reason in evaluations.refused.items():
        yield pb.EvaluateResponse(refused=pb.MethodRefusal(method=method, reason=reason))


def size_of(request: pb.SlideView | pb.ConvolutionalizeRequest) -> tuple[int, int] | None:
    """Return a window's height and width, None for the model's own."""
    if not request.height and not request.width:
        return None
    if request.height < 1 or request.width < 1:
        raise OptionError(
            f"a window of {request.height} x {request.width} pixels: set both height and width, or "
            "neither"
        )
    return request.height, request.width


def _pictures(field: str, images: Sequence[pb.Image]) -> list[Any]:
    pictures = images_of(field, images)
    if isinstance(pictures, np.ndarray):
        raise InputError(
            f"{field}: this call takes pictures, not arrays of network inputs: set encoded or "
            "pixels"
        )
    return pictures
