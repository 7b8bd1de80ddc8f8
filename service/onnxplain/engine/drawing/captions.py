"""The captions of units in a drawing."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["unit_captions"]


def unit_captions(
    channel: int, labels: Sequence[str], quantity: str, value: float
) -> tuple[str, ...]:
    """Return captions of a unit, the longest first: its name, and its strength in brackets.

    channel: -1 for the whole layer. quantity: what the value is.
    """
    number = _short(value)
    strength = f"{quantity} {number}"
    if 0 <= channel < len(labels):
        label = labels[channel]
        short = label.partition(",")[0]  # ImageNet's names list their synonyms
        return (f"{label} ({strength})", f"{short} ({strength})", short)
    if channel < 0:
        return (f"whole layer ({strength})", f"whole ({number})", "whole")
    return (f"channel {channel} ({strength})", f"{channel} ({number})", str(channel))


def _short(score: float) -> str:
    return f"{score:,.0f}" if 1000 <= abs(score) < 1e9 else f"{score:.3g}"
