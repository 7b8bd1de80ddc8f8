"""How the Open Inference Protocol's names of models map onto resource names."""

from __future__ import annotations

from onnxplain.graphops.errors import InputError
from onnxplain.registry import parse_name

__all__ = ["model_resource"]


def model_resource(name: str, version: str) -> str:
    """Return the resource name of a model that the Open Inference Protocol names.

    Args:
        name: `pets` or `models/pets`; or, as ListModels returns it, `models/pets/versions/3`.
        version: such as `3`; empty for that of the name, or else the newest.

    Returns:
        `models/pets/versions/3`, or `models/pets` without a version.

    Raises:
        InputError: the name is empty or too long, or names another version, or one of them
            contains a slash.
    """
    resource = name if name.startswith("models/") else f"models/{name}"
    _, named = parse_name(resource)
    if not version or version == named:
        return resource
    if named is not None:
        raise InputError(
            f"the name '{name}' and the version '{version:.100}' differ: leave one of them out"
        )
    resource = f"{resource}/versions/{version}"
    parse_name(resource)
    return resource
