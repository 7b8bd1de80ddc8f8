"""Pages of a list, and the tokens that ask for the next ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from onnxplain.graphops.errors import InputError
from onnxplain.registry import Listing, ModelVersion

__all__ = ["page", "page_of_models"]

T = TypeVar("T")
Key = tuple[str | int, ...]
LONGEST = 4096  # characters of a token


def page(
    items: Sequence[T], key: Callable[[T], Key], size: int, token: str
) -> tuple[Sequence[T], str]:
    """Return some of the items, and the token of the page that follows, "" after the last one.

    A token holds the key of the last item that was returned, so that items which come or go
    meanwhile leave the others where they are.

    Args:
        items: all of them, in the order of their keys.
        key: of an item: texts and integers, of the same types for all.
        size: the most items, 0 for all.
        token: "" to begin with the first item.

    Returns:
        The items and the token.

    Raises:
        InputError: the size is negative, or the token is none that this returned.
    """
    if size < 0:
        raise InputError(f"page_size: {size} is negative; write 0 for all")
    if token:
        after = _read(token, key(items[0]) if items else None)
        items = [item for item in items if key(item) > after]
    chosen = items[:size] if size else items
    return chosen, _write(key(chosen[-1])) if len(chosen) < len(items) else ""


def page_of_models(listing: Listing, size: int, token: str) -> tuple[Sequence[ModelVersion], str]:
    """Return some of the versions in a listing, and the token, as `page` does."""
    return page(list(listing), lambda version: (version.model, version.number), size, token)


def _write(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _read(token: str, like: Key | None) -> Key:
    """Return the key in a token. like: another key, None where there is none to compare with."""
    try:
        key = json.loads(base64.b64decode(token[:LONGEST], altchars="-_", validate=True))
    except (ValueError, RecursionError):
        key = None
    types = [type(part) for part in key] if isinstance(key, list) else []
    wrong = not types or not {*types} <= {str, int}
    if wrong or (like and types != [type(part) for part in like]):
        raise InputError("page_token: it is none that this service returned; begin without one")
    return tuple(key)
