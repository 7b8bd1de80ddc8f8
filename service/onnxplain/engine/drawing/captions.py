"""The captions of units in a drawing."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["unit_captions"]


def unit_captions(
    channel: int,
    labels: Sequence[str],
    quantity: str,
    value: float,
    probability: float | None = None,
    *,
    negated: bool = False,
) -> tuple[str, ...]:
    """Return captions of a unit, the longest first: its name, and its strength in brackets.

    channel: -1 for the whole layer. quantity: what the value is. negated: whether it is the
    evidence against the unit.
    """
    brief = _short(value)
    strength = both = f"{quantity} {brief}"
    against = "against " if negated else ""
    if channel < 0:
        whole = f"{against}whole"
        return (f"{whole} layer ({strength})", f"{whole} ({brief})", whole)
    if probability is not None:
        both, brief = f"{strength}, probability {probability:.3g}", f"{brief}, {probability:.0%}"
    if channel < len(labels):
        label = f"{against}{labels[channel]}"
        short = label.partition(",")[0]  # ImageNet's names list their synonyms
        return (f"{label} ({both})", f"{short} ({both})", f"{short} ({brief})", short)
    short = f"{against}{channel}"
    return (f"{against}channel {channel} ({both})", f"{short} ({brief})", short)


def _short(score: float) -> str:
    return f"{score:,.0f}" if 1000 <= abs(score) < 1e9 else f"{score:.3g}"
