"""The type of progress callbacks, and the one that does nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Progress", "unreported"]

Progress: TypeAlias = Callable[[int, int], None]  # of the steps done and their total


def unreported(done: int, total: int) -> None:
    """Report nothing."""
