"""What an artefact says about itself, in its metadata properties under `onnxplain.`."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version

import onnx

from onnxplain.graphops.options import Options

__all__ = ["describe_artefact", "package_version"]


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
    """Write down how `artefact` was made of `source`; other metadata stays.

    `ends` are the names of the layer and of the tensor projected back to; `renamed` maps the
    contract's names to those that the artefact has, where the network had them already.
    `source_sha256` is of the source as ONNX serialises it.
    """
    layer, target = ends
    facts = {
        "version": package_version(),
        "method": method,
        "layer": layer,
        "to": target,
        "options": json.dumps(options.as_dict(), sort_keys=True),
        "renamed": json.dumps(renamed, sort_keys=True),
        "source_sha256": source_sha256,
    }
    properties = {p.key: p.value for p in artefact.metadata_props}
    properties |= {f"onnxplain.{name}": fact for name, fact in facts.items()}
    onnx.helper.set_model_props(artefact, properties)
