"""The requests of View and Evaluate as arguments of the engine, and what it finds as messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from onnxplain.engine import VIEWS, Evaluation, View, class_methods
from onnxplain.graphops.errors import InputError, OptionError
from onnxplain.server.requests import (
    DEFAULT_METHOD,
    images_of,
    method_options_of,
    preprocess_of,
    units_of,
)
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

__all__ = [
    "evaluate_arguments",
    "evaluate_parts",
    "size_of",
    "view_arguments",
    "view_parts",
]

SEVERAL = ("maps", "top")  # the views that take more than one picture


def view_arguments(request: pb.ViewRequest) -> tuple[str, dict[str, Any]]:
    """Return a view's name in `engine.VIEWS` and its arguments, all but the model, `earlier` apart.

    Raises InputError.
    """
    view = request.WhichOneof("view")
    if view is None:
        raise InputError(f"view: none is set; set one of {', '.join(VIEWS)}")
    asked = getattr(request, view)
    arguments = {
        field.name: list(value) if field.is_repeated else value
        for field, value in asked.ListFields()
        if field.name not in ("units", "method_options", "earlier", "height", "width")
    }
    arguments |= {"labels": tuple(request.labels) or None, "preprocess": preprocess_of(request)}
    if "units" in asked.DESCRIPTOR.fields_by_name:
        arguments["units"] = units_of(asked.units)
    if view == "maps":
        arguments = {"methods": [DEFAULT_METHOD]} | arguments | method_options_of(asked)
    if view == "slide":
        arguments["size"] = size_of(asked)
    pictures = _pictures("images", request.images)
    if view in SEVERAL:
        return view, arguments | {"pictures": pictures}
    if len(pictures) != 1:
        raise InputError(f"images: there are {len(pictures)}, and the view '{view}' takes one")
    return view, arguments | {"picture": pictures[0]}


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
