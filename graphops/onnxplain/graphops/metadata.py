"""The metadata properties of an artefact, under the prefix `onnxplain.`."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version

import onnx

from onnxplain.graphops.options import Options

__all__ = [
    "CONTRACT",
    "SOURCE_MODEL",
    "added_outputs",
    "describe_artefact",
    "package_version",
    "record_source",
    "renamed_names",
]

CONTRACT = 3  # the version of docs/contract.md that artefacts keep, raised with every change of it
SOURCE_MODEL = "onnxplain.source_model"  # the key of a model's name, where there is one


def added_outputs(model: onnx.ModelProto) -> frozenset[str]:
    """Return the names of the outputs that a rewrite added to a model; none for a source.

    They stand behind the network's own, and `attribution` is the first.
    """
    if all(entry.key != "onnxplain.contract" for entry in model.metadata_props):
        return frozenset()
    first = renamed_names(model).get("attribution", "attribution")
    names = [value.name for value in model.graph.output]
    return frozenset(names[names.index(first) :]) if first in names else frozenset()


def renamed_names(model: onnx.ModelProto) -> dict[str, str]:
    """Return the names that inputs and outputs of an artefact have in place of the contract's."""
    stored = {p.key: p.value for p in model.metadata_props}.get("onnxplain.renamed", "{}")
    try:
        renamed = json.loads(stored)
    except ValueError:  # anyone may write metadata
        return {}
    return renamed if isinstance(renamed, dict) else {}


def package_version() -> str:
    """Return the installed version of onnxplain."""
    try:
        return version("onnxplain")
    except PackageNotFoundError:
        return "unknown"


def describe_artefact(
    artefact: onnx.ModelProto,
    source_sha256: str,
    ends: tuple[str, str],
    method: str,
    options: Options,
    renamed: dict[str, str],
) -> None:
    """Record in the artefact's metadata how it was rewritten; other metadata stays.

    source_sha256: the SHA-256 of the source model as ONNX serialises it. ends: the names of the
    layer and of the tensor projected back to. renamed: from the contract's names of inputs and
    outputs to the artefact's, where the network already used the former.
    """
    layer, target = ends
    facts = {
        "version": package_version(),
        "contract": str(CONTRACT),
        "method": method,
        "layer": layer,
        "to": target,
        "options": json.dumps(options.as_dict(), sort_keys=True),
        "renamed": json.dumps(renamed, sort_keys=True),
        "source_sha256": source_sha256,
    }
    properties = {p.key: p.value for p in artefact.metadata_props if p.key != SOURCE_MODEL}
    properties |= {f"onnxplain.{name}": fact for name, fact in facts.items()}
    onnx.helper.set_model_props(artefact, properties)


def record_source(artefact: onnx.ModelProto, name: str) -> None:
    """Record in the artefact's metadata the name of the model that it was rewritten from."""
    artefact.metadata_props.add(key=SOURCE_MODEL, value=name)
