"""Explanations that wait for the same graph, run together: one call of the engine for all.

Methods of many runs gain nothing and stay alone, as do calls of many units, which fill a run by
themselves, and calls with values for each position or further input.

Work of another kind is run together in the same way: give `Scheduler.together` a key of what must
be equal, and a function that runs several members.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from onnxplain.engine import METHODS, Engine, EngineMethod, Explanation
from onnxplain.engine.pictures import PreparedInputs, prepare
from onnxplain.engine.runtime import OpenedModel
from onnxplain.graphops.errors import AnswerTooLarge
from onnxplain.graphops.methods import DEFAULT_METHOD
from onnxplain.server.worker.requests import explain_arguments, images_of
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["MOST_UNITS", "explain_each", "explain_key", "explain_together", "is_one_run"]

MOST_UNITS = 8  # of a call that may run with others
MAX_BYTES = 2**26  # of the attributions of calls that run together, all of which are held at once
ALONE = ("positions", "region", "inputs")  # fields that hold values for each image

M = TypeVar("M")


def explain_key(request: pb.ExplainRequest) -> Hashable:
    """Return what explanations that may run together have in common, None for one that may not."""
    fields = {field.name: value for field, value in request.ListFields()}
    many = request.all or request.top > MOST_UNITS or len(request.channels.channels) > MOST_UNITS
    inputs = {_form(image) for image in request.images}
    alone = many or any(name in fields for name in ALONE) or not is_one_run(request.method)
    if alone or len(inputs) != 1:
        return None
    del fields["images"]
    return (*inputs, *((name, _hashable(value)) for name, value in fields.items()))


def is_one_run(method: str) -> bool:
    """Tell whether a method, "" for the default, takes one run for each picture and some units."""
    found = METHODS.get(method or DEFAULT_METHOD)
    return found is not None and not isinstance(found, EngineMethod) and not found.accumulated


def explain_together(
    engine: Engine, model: Path, requests: Sequence[pb.ExplainRequest]
) -> list[list[Explanation] | Exception]:
    """Return for each request the pieces that `explain_units` yields for it alone.

    Args:
        engine: the engine.
        model: the model's file.
        requests: requests of one key.

    Returns:
        The pieces of each, or the error of its images.

    Raises:
        AnswerTooLarge: the results are too large to be held at once.
        OnnxplainError: whatever else `explain_units` raises.
    """
    arguments = explain_arguments(requests[0])
    images = [request.images for request in requests]
    return explain_each(
        engine, engine.open(str(model)), images, functools.partial(images_of, "images"), arguments
    )


def explain_each(
    engine: Engine,
    model: OpenedModel,
    members: Sequence[M],
    images_of_member: Callable[[M], Any],
    arguments: Mapping[str, Any],
) -> list[list[Explanation] | Exception]:
    """Return for each member the pieces that `explain_units` yields for its images alone.

    Args:
        engine: the engine.
        model: the model.
        members: the members.
        images_of_member: returns the images of one, as the engine takes them.
        arguments: the other arguments of `explain_units`.

    Returns:
        The pieces of each, or the error of its images.

    Raises:
        AnswerTooLarge: the results are too large to be held at once.
        OnnxplainError: whatever else `explain_units` raises.
    """
    over_map = METHODS[arguments["method"]].over == "map"
    target, _ = model.inputs(arguments.get("score_layer" if over_map else "layer"))
    prepared: list[PreparedInputs | Exception] = []
    for member in members:
        try:
            images = images_of_member(member)
            prepared.append(prepare(model.model, images, arguments.get("preprocess"), target))
        except Exception as e:
            prepared.append(e)
    good = [one for one in prepared if isinstance(one, PreparedInputs)]
    pieces = _pieces(engine, model, arguments, good)
    return [one if isinstance(one, Exception) else next(pieces) for one in prepared]


def _pieces(
    engine: Engine,
    model: OpenedModel,
    arguments: Mapping[str, Any],
    prepared: Sequence[PreparedInputs],
) -> Iterator[list[Explanation]]:
    """Return the pieces of each."""
    found: list[list[Explanation]] = [[] for _ in prepared]
    if not prepared:
        return iter(found)
    owners = [i for i, one in enumerate(prepared) for _ in one.rows]
    first = [owners.index(i) for i in range(len(prepared))]
    size = 0
    joined = PreparedInputs.join(prepared)
    for piece in engine.explain_units(model, **{**arguments, "images": joined}):
        size += piece.attribution.nbytes + sum(v.nbytes for v in piece.others.values())
        if size > MAX_BYTES:
            raise AnswerTooLarge(f"the attributions of calls together exceed {MAX_BYTES} bytes")
        owner = owners[piece.first_image]
        found[owner].append(
            replace(
                piece,
                first_image=piece.first_image - first[owner],
                notes=(*prepared[owner].notes, *piece.notes),
            )
        )
    return iter(found)


def _form(image: pb.Image) -> Hashable:
    """Return what images of one run have in common."""
    if image.WhichOneof("source") != "input":
        return "picture"
    return (image.input.data_type, tuple(image.input.shape))


def _hashable(value: Any) -> Hashable:
    if hasattr(value, "SerializeToString"):
        return bytes(value.SerializeToString(deterministic=True))
    return value if isinstance(value, Hashable) else tuple(value)
