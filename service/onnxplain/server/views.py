"""The requests of View and Evaluate as arguments of the engine, and its results as messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxplain.engine import Engine, Evaluation, View, class_methods
from onnxplain.engine.views import DECLARED_VIEWS, ViewArgument, ViewDeclaration
from onnxplain.graphops.errors import InputError, OptionError
from onnxplain.server.progress import News
from onnxplain.server.requests import (
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
    "view_parts",
]


@dataclass(frozen=True)
class ViewCall:
    """What a request asks for: a view, and what it is computed from.

    models: resource names, of which a view of one model takes the last. arguments: all others of
    the view's function by their names, but for `progress` and `passes`.
    """

    view: ViewDeclaration
    models: tuple[str, ...]
    pictures: list[Any]
    arguments: dict[str, Any]

    def compute(self, engine: Engine, paths: Sequence[str], news: News[pb.ViewResponse]) -> View:
        """Return the view of the models in `paths`, and report the progress as it is computed."""
        return self.view.compute(
            engine, paths, self.pictures, news.steps, news.runs, **self.arguments
        )


def view_call(request: pb.ViewRequest) -> ViewCall:
    """Return what a request asks for. Raises InputError or OptionError."""
    name = request.WhichOneof("view")
    if name is None:
        raise InputError(f"view: none is set; set one of {', '.join(DECLARED_VIEWS)}")
    view, asked = DECLARED_VIEWS[name], getattr(request, name)
    models = [request.model]
    arguments: dict[str, Any] = {
        "labels": tuple(request.labels) or None,
        "preprocess": preprocess_of(request),
    }
    for argument in view.arguments:
        arguments |= _keywords(argument, asked)
    if view.models == "several":
        models = [*asked.earlier, request.model]
        arguments["names"] = [model.removeprefix("models/") for model in models]
    pictures = _pictures("images", request.images)
    if view.pictures == "one" and len(pictures) != 1:
        raise InputError(f"images: there are {len(pictures)}, and the view '{name}' takes one")
    return ViewCall(view, tuple(models), pictures, arguments)


def _keywords(argument: ViewArgument, asked: Any) -> dict[str, Any]:
    """Return an argument's value in a view's message as keywords; none where it is not set."""
    match argument.type:
        case "method_options":
            return method_options_of(asked)
        case "size":
            return {argument.name: size_of(asked)}
        case "units":
            return {argument.name: units_of(getattr(asked, argument.name))}
    given = {field.name: value for field, value in asked.ListFields()}
    value = given.get(argument.name, argument.default)
    if value is None:
        return {}
    return {argument.name: list(value) if argument.many or argument.type == "channels" else value}


def view_parts(view: View) -> Iterator[pb.ViewResponse]:
    """Return a view's notes, its drawing and its arrays as messages. Raises OptionError."""
    png = view.png()
    for note in view.notes:
        yield pb.ViewResponse(note=note)
    for start in range(0, len(png), tensors.MAX_PART_BYTES):
        yield pb.ViewResponse(png=png[start : start + tensors.MAX_PART_BYTES])
    for name, array in view.arrays().items():
        if array.dtype.kind == "U":
            texts = pb.NamedTexts(name=name, shape=array.shape, texts=array.ravel().tolist())
            yield pb.ViewResponse(texts=texts)
            continue
        for part in tensors.split(array):
            yield pb.ViewResponse(tensor=pb.NamedTensor(name=name, values=part))


def evaluate_arguments(request: pb.EvaluateRequest) -> dict[str, Any]:
    """Return the arguments of `engine.evaluate`, all but the model. Raises InputError."""
    return {
        "pictures": _pictures("images", request.images),
        "methods": list(request.methods) or class_methods(),
        "masks": _pictures("masks", request.masks) if request.masks else (),
        "randomize": request.randomize,
        "preprocess": preprocess_of(request),
    }


def evaluate_parts(found: Sequence[Evaluation]) -> Iterator[pb.EvaluateResponse]:
    """Return each method's evaluation as a message."""
    for one in found:
        yield pb.EvaluateResponse(
            method=pb.MethodEvaluation(
                method=one.method,
                deletion=one.deletion,
                insertion=one.insertion,
                deletion_area=one.deletion_area,
                insertion_area=one.insertion_area,
                pointing=one.pointing,
                mass=one.mass,
                randomization=one.randomization,
            )
        )


def size_of(request: pb.SlideView | pb.ConvolutionalizeRequest) -> tuple[int, int] | None:
    """Return the height and width of a window, None where the model says them."""
    if not request.height and not request.width:
        return None
    if request.height < 1 or request.width < 1:
        raise OptionError(
            f"a window of {request.height} x {request.width} pixels: set height and width, or "
            "neither of them"
        )
    return request.height, request.width


def _pictures(field: str, images: Sequence[pb.Image]) -> list[Any]:
    pictures = images_of(field, images)
    if isinstance(pictures, np.ndarray):
        raise InputError(f"{field}: they are network inputs; send pictures, encoded or as pixels")
    return pictures
