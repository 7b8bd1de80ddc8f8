"""Explanations as outputs of the Open Inference Protocol's ModelInfer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine import Engine, Explanation
from onnxplain.engine.join import join_pieces
from onnxplain.engine.methods import find_method
from onnxplain.engine.runtime import OpenedModel
from onnxplain.graphops.errors import InputError, nearest
from onnxplain.server.worker.bounds import check_runs
from onnxplain.server.worker.inference_tensors import MAX_INFERENCE_BYTES

__all__ = ["explain_each", "explanation_outputs", "explanation_texts", "require_outputs"]

# What an explanation returns if no outputs are requested, and what it has besides.
RETURNED = ("attribution", "score", "channels", "position")
ON_REQUEST = ("box", "completeness_error", "probability")
PREFIX = "onnxplain_"  # of those whose names the model's own outputs have

Array = npt.NDArray[Any]


def require_outputs(opened: OpenedModel, wanted: Sequence[str]) -> None:
    """Raise InputError for a name that is an output of no explanation of the model."""
    own = {value.name for value in opened.model.graph.output}
    further = {f"attribution.{value.name}" for value in opened.model.graph.input}
    known = own | {_public(name, own) for name in (*RETURNED, *ON_REQUEST, *further)}
    for name in wanted:
        if name not in known:
            raise InputError(f"outputs: there is no '{name:.100}' ({nearest(name, known)})")


def explain_each(
    engine: Engine,
    opened: OpenedModel,
    inputs: Sequence[Mapping[str, Array]],
    arguments: Mapping[str, Any],
) -> list[Explanation]:
    """Explain a model on the inputs of each of several calls, which one run may share.

    inputs: of several calls, all have one input, of one shape but for the number of images.
    arguments: the others of `Engine.explain`. Raises InputError for a missing input, and what
    `Engine.explain` does.
    """
    over_map = find_method(arguments["method"]).over == "map"
    picture, _ = opened.inputs(arguments.get("score_layer" if over_map else "layer"))
    if picture.name not in inputs[0]:
        raise InputError(f"inputs: the input {picture} is missing: send its values")
    images = np.concatenate([some[picture.name] for some in inputs])
    if images.dtype == np.uint8:
        images = images.astype(np.int16)  # the engine takes bytes for pixels
    others = {name: values for name, values in inputs[0].items() if name != picture.name}
    pieces = engine.explain_units(opened, images, inputs=others, passes=_check_passes, **arguments)
    if len(inputs) == 1:
        return [join_pieces(pieces, MAX_INFERENCE_BYTES)]
    first = np.cumsum([0, *(len(some[picture.name]) for some in inputs)])
    shares: list[list[Explanation]] = [[] for _ in inputs]
    for piece in pieces:
        owner = int(np.searchsorted(first, piece.first_image, "right")) - 1
        own_image = piece.first_image - int(first[owner])
        shares[owner].append(replace(piece, first_image=own_image))
    return [join_pieces(share, MAX_INFERENCE_BYTES) for share in shares]


def explanation_outputs(
    engine: Engine,
    opened: OpenedModel,
    inputs: Mapping[str, Array],
    wanted: Sequence[str],
    explanation: Explanation,
) -> dict[str, Array]:
    """Return outputs by name: those of the explanation and the model's own.

    wanted: their names; none for the explanation's. Raises InputError for one that there is not.
    """
    own = {value.name for value in opened.model.graph.output}
    values = {name: getattr(explanation, name) for name in (*RETURNED, *ON_REQUEST)}
    values |= {f"attribution.{name}": array for name, array in explanation.others.items()}
    found = {_public(name, own): array for name, array in values.items() if array is not None}
    if not wanted:
        kept = {_public(name, own) for name in values if name not in ON_REQUEST}
        return {name: array for name, array in found.items() if name in kept}
    for name in wanted:
        if name not in own and name not in found:
            raise InputError(
                f"outputs: this explanation by {explanation.method} has no '{name}': leave it out"
            )
    asked_of_model = [name for name in wanted if name in own]
    if asked_of_model:
        found |= engine.infer(opened, inputs, asked_of_model)
    return {name: found[name] for name in wanted}


def explanation_texts(explanation: Explanation) -> dict[str, str]:
    """Return what an explanation tells besides its arrays, by name."""
    texts = {"method": explanation.method, "layer": explanation.layer, "to": explanation.to}
    if explanation.notes:
        texts["notes"] = "\n".join(explanation.notes)
    return texts


def _public(name: str, own: set[str]) -> str:
    return f"{PREFIX}{name}" if name in own else name


def _check_passes(done: int, total: int) -> None:
    check_runs(total)
