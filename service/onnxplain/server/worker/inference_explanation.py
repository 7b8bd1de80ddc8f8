"""Explanations as outputs of the Open Inference Protocol's ModelInfer."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine import Engine, Explanation
from onnxplain.engine.inference import require_inputs
from onnxplain.engine.join import join_pieces
from onnxplain.engine.methods import find_method
from onnxplain.engine.pictures import Input
from onnxplain.engine.runtime import OpenedModel
from onnxplain.graphops.errors import InputError, nearest
from onnxplain.server.worker.batching import explain_each

__all__ = ["Outputs", "explain", "explain_alike"]

# What an explanation returns if no outputs are requested, and what it has besides.
RETURNED = ("attribution", "score", "channels", "position")
ON_REQUEST = ("box", "completeness_error", "probability")
PREFIX = "onnxplain_"  # of those whose names the model's own outputs have

Array = npt.NDArray[Any]
Outputs = tuple[dict[str, Array], dict[str, str]]  # the outputs by name, and the texts by theirs


def explain(
    engine: Engine,
    opened: OpenedModel,
    inputs: Mapping[str, Array],
    wanted: Sequence[str],
    arguments: Mapping[str, Any],
) -> Outputs:
    """Explain a model on its inputs.

    wanted: the names of the outputs, those of the explanation or the model's own; none for the
    explanation's. arguments: the others of `Engine.explain`.

    Returns the outputs in that order, and the texts of the explanation.
    Raises InputError for an input or output that does not fit, and what `Engine.explain` does.
    """
    parts = _parts(opened, inputs, wanted)
    picture = _picture(opened, arguments)
    images = _images(opened, picture, inputs)
    others = {name: values for name, values in inputs.items() if name != picture.name}
    explanation: Explanation = engine.explain(opened, images, inputs=others, **arguments)
    return _outputs(engine, opened, inputs, wanted, parts, explanation)


def explain_alike(
    engine: Engine,
    opened: OpenedModel,
    several: Sequence[Mapping[str, Array]],
    wanted: Sequence[str],
    arguments: Mapping[str, Any],
) -> list[Outputs | Exception]:
    """Return for each of several inputs what `explain` does, or its error. Raises as `explain`."""
    parts = _parts(opened, several[0], wanted)
    picture = _picture(opened, arguments)
    found: list[Outputs | Exception] = []
    images = functools.partial(_images, opened, picture)
    each = explain_each(engine, opened, several, images, arguments)
    for inputs, pieces in zip(several, each, strict=True):
        try:
            if isinstance(pieces, Exception):
                raise pieces
            explanation = join_pieces(pieces, engine.result_bytes)
            found.append(_outputs(engine, opened, inputs, wanted, parts, explanation))
        except Exception as e:
            found.append(e)
    return found


def _parts(
    opened: OpenedModel, inputs: Mapping[str, Array], wanted: Sequence[str]
) -> dict[str, str]:
    """Return the parts of an explanation by their names as outputs.

    Raises InputError for an output that there is not.
    """
    own = [value.name for value in opened.model.graph.output]
    names = (*RETURNED, *(f"attribution.{name}" for name in inputs), *ON_REQUEST)
    parts = {f"{PREFIX}{name}" if name in own else name: name for name in names}
    for name in wanted:
        if name not in own and name not in parts:
            raise InputError(
                f"outputs: there is no '{name:.100}' ({nearest(name, [*own, *parts])})"
            )
    return parts


def _outputs(
    engine: Engine,
    opened: OpenedModel,
    inputs: Mapping[str, Array],
    wanted: Sequence[str],
    parts: Mapping[str, str],
    explanation: Explanation,
) -> Outputs:
    """Return the outputs of an explanation and the model's own. Raises InputError."""
    values = {name: getattr(explanation, name) for name in (*RETURNED, *ON_REQUEST)}
    values |= {f"attribution.{name}": array for name, array in explanation.others.items()}
    found: dict[str, Any] = {name: values.get(part) for name, part in parts.items()}
    if not wanted:
        wanted = [name for name, part in parts.items() if part not in ON_REQUEST]
        wanted = [name for name in wanted if found[name] is not None]
    for name in wanted:
        if name in parts and found[name] is None:
            raise InputError(
                f"outputs: this explanation by {explanation.method} has no '{name}': leave it out"
            )
    further = [name for name in wanted if name not in parts]
    if further:
        found |= engine.infer(opened, inputs, further)
    texts = {"method": explanation.method, "layer": explanation.layer, "to": explanation.to}
    if explanation.notes:
        texts["notes"] = "\n".join(explanation.notes)
    return {name: found[name] for name in wanted}, texts


def _picture(opened: OpenedModel, arguments: Mapping[str, Any]) -> Input:
    """Return the input that takes the images."""
    over_map = find_method(arguments["method"]).over == "map"
    return opened.inputs(arguments.get("score_layer" if over_map else "layer"))[0]


def _images(opened: OpenedModel, picture: Input, inputs: Mapping[str, Array]) -> Array:
    """Return the images among the inputs. Raises InputError where an input does not fit."""
    require_inputs(opened, inputs)
    if picture.name not in inputs:
        raise InputError(f"inputs: the input {picture} is missing: send its values")
    images = inputs[picture.name]
    # The engine takes bytes for pixels.
    return images.astype(np.int16) if images.dtype == np.uint8 else images
