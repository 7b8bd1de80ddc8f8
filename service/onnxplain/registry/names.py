"""The resource names of models: `models/{model}/versions/{version}`."""

from __future__ import annotations

import re

from onnxplain.graphops.errors import InputError

__all__ = ["full_name", "parse_name", "version_number"]

LONGEST = 512  # characters; files have shorter names


def full_name(model: str, version: int) -> str:
    """Return the resource name of a version.

    Args:
        model: the model's own name, such as "classifier".
        version: the version's number.

    Returns:
        The name, such as "models/classifier/versions/2".

    Raises:
        Nothing.
    """
    return f"models/{model}/versions/{version}"


def parse_name(name: str) -> tuple[str, str | None]:
    """Return the model and the version that a resource name is about.

    Args:
        name: `models/{model}/versions/{version}` or `models/{model}`.

    Returns:
        The model's own name, and the text of the version, None if the name has none.

    Raises:
        InputError: the name is not of that form, or too long.
    """
    if len(name) > LONGEST:
        raise InputError(f"a model's name has at most {LONGEST} characters, not {len(name)}")
    parts = re.fullmatch(r"models/([^/]+)(?:/versions/([^/]+))?", name)
    if parts is None:
        raise InputError(
            f"'{name}' does not name a model: write models/NAME or models/NAME/versions/VERSION"
        )
    return parts[1], parts[2]


def version_number(text: str) -> int | None:
    """Return the number that the text of a version stands for.

    Args:
        text: such as "12".

    Returns:
        The number, from 1 to 10**18 - 1; None if the text is none, or is not its shortest form.

    Raises:
        Nothing.
    """
    return int(text) if re.fullmatch("[1-9][0-9]{0,17}", text) else None
