"""The resource names of models, and how the Open Inference Protocol's names map onto them."""

from __future__ import annotations

import re

from onnxplain.graphops.errors import InputError

__all__ = ["model_resource", "name_and_version"]

RESOURCE = re.compile(r"models/([^/]+)(?:/versions/([^/]+))?")


def model_resource(name: str, version: str) -> str:
    """Return the resource name of a model that the Open Inference Protocol names.

    Args:
        name: `pets` or `models/pets`; or, as ListModels returns it, `models/pets/versions/3`.
        version: such as `3`; empty for that of the name, or else the newest.

    Returns:
        `models/pets/versions/3`, or `models/pets` without a version.

    Raises:
        InputError: the name is empty or names another version, or one of them contains a slash.
    """
    parts = RESOURCE.fullmatch(name) or RESOURCE.fullmatch(f"models/{name}")
    if parts is None or "/" in version:
        shown = f"'{name}'" + (f" with version '{version}'" if version else "")
        raise InputError(
            f"{shown} does not name a model: write its name, such as pets, and its version, such "
            "as 3, or no version for the newest"
        )
    if version and parts[2] and parts[2] != version:
        raise InputError(
            f"the name '{name}' and the version '{version}' differ: leave one of them out"
        )
    model, chosen = parts[1], parts[2] or version
    return f"models/{model}/versions/{chosen}" if chosen else f"models/{model}"


def name_and_version(resource: str) -> tuple[str, str]:
    """Return the parts of `models/{model}/versions/{version}`, the version "" where it has none.

    Args:
        resource: a model's resource name.

    Returns:
        The model's name and its version.

    Raises:
        InputError: it is none.
    """
    parts = RESOURCE.fullmatch(resource)
    if parts is None:
        raise InputError(
            f"'{resource}' does not name a model: write models/NAME or models/NAME/versions/VERSION"
        )
    return parts[1], parts[2] or ""
