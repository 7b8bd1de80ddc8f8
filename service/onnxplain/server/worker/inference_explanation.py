"""Explanations as outputs of the Open Inference Protocol's ModelInfer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine import Engine, Explanation
from onnxplain.engine.inference import require_inputs
from onnxplain.engine.methods import find_method
from onnxplain.engine.runtime import OpenedModel
from onnxplain.graphops.errors import InputError, nearest

__all__ = ["explain"]

# What an explanation returns if no outputs are requested, and what it has besides.
RETURNED = ("attribution", "score", "channels", "position")
ON_REQUEST = ("box", "completeness_error", "probability")
PREFIX = "onnxplain_"  # of those whose names the model's own outputs have

Array = npt.NDArray[Any]


def explain(
    engine: Engine,
    opened: OpenedModel,
    inputs: Mapping[str, Array],
    wanted: Sequence[str],
    arguments: Mapping[str, Any],
) -> tuple[dict[str, Array], dict[str, str]]:
    """Explain a model on its inputs.

    wanted: the names of the outputs, those of the explanation or the model's own; none for the
    explanation's. arguments: the others of `Engine.explain`.

    Returns the outputs by name in that order, and the texts of the explanation by their names.
    Raises InputError for an input or output that does not fit, and what `Engine.explain` does.
    """
    own = [value.name for value in opened.model.graph.output]
    names = (*RETURNED, *(f"attribution.{name}" for name in inputs), *ON_REQUEST)
    parts = {f"{PREFIX}{name}" if name in own else name: name for name in names}
    for name in wanted:
        if name not in own and name not in parts:
            raise InputError(
                f"outputs: there is no '{name:.100}' ({nearest(name, [*own, *parts])})"
            )
    explanation = _explanation(engine, opened, inputs, arguments)
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
    further = [name for name in wanted if name in own]
    if further:
        found |= engine.infer(opened, inputs, further)
    outputs = {name: found[name] for name in wanted}
    texts = {"method": explanation.method, "layer": explanation.layer, "to": explanation.to}
    if explanation.notes:
        texts["notes"] = "\n".join(explanation.notes)
    return outputs, texts


def _explanation(
    engine: Engine, opened: OpenedModel, inputs: Mapping[str, Array], arguments: Mapping[str, Any]
) -> Explanation:
    require_inputs(opened, inputs)
    over_map = find_method(arguments["method"]).over == "map"
    picture, _ = opened.inputs(arguments.get("score_layer" if over_map else "layer"))
    if picture.name not in inputs:
        raise InputError(f"inputs: the input {picture} is missing: send its values")
    images = inputs[picture.name]
    if images.dtype == np.uint8:
        images = images.astype(np.int16)  # the engine takes bytes for pixels
    others = {name: values for name, values in inputs.items() if name != picture.name}
    explanation: Explanation = engine.explain(opened, images, inputs=others, **arguments)
    return explanation
