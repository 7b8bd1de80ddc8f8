"""The words of a drawing: methods by their titles, units by label and probability."""

from __future__ import annotations

from collections.abc import Sequence

from onnxplain.engine.drawing.digits import number, percent
from onnxplain.engine.methods import METHODS

__all__ = ["layer_name", "method_title", "unit_captions", "unit_name"]


def method_title(method: str, *, first: bool = False) -> str:
    """Return the title of a method, its name where it has none; `first` words have a capital."""
    title = str(getattr(METHODS.get(method), "title", ""))
    return (title[:1].upper() + title[1:] if first else title) or method


def layer_name(tensor: str, asked: str) -> str:
    """Return a layer by the name that was asked for, and its tensor's where that differs."""
    return f"{asked} ({tensor})" if asked and asked != tensor else tensor


def unit_name(channel: int, labels: Sequence[str], layer: str, probability: float | None) -> str:
    """Return a unit by its label, or else its channel and layer, and its probability."""
    if channel < 0:
        return f"the whole of {layer}"
    known = channel < len(labels)
    # ImageNet's names list their synonyms.
    name = labels[channel].partition(",")[0] if known else f"channel {channel} of {layer}"
    if probability is None:
        return name
    return f"{name if known else f'class {channel}'}, {percent(probability)}"


def unit_captions(
    channel: int,
    labels: Sequence[str],
    quantity: str,
    value: float,
    probability: float | None = None,
    *,
    negated: bool = False,
) -> tuple[str, ...]:
    """Return captions of a unit, the longest first: its name, its strength and probability.

    channel: -1 for the whole layer. quantity: what the value is. negated: whether it is the
    evidence against the unit.
    """
    brief = number(value)
    strength = f"{quantity} {brief}"
    against = "against " if negated else ""
    if channel < 0:
        whole = f"{against}whole"
        return (f"{whole} layer ({strength})", f"{whole} ({brief})", whole)
    share = "" if probability is None else f", {percent(probability)}"
    if channel < len(labels):
        label = f"{against}{labels[channel]}"
        short = label.partition(",")[0]
        names = (f"{label}{share} ({strength})", f"{short}{share} ({strength})", f"{short}{share}")
        return (*dict.fromkeys((*names, short)),)
    short = f"{against}{channel}"
    if probability is None:
        return (f"{against}channel {channel} ({strength})", f"{short} ({brief})", short)
    what = f"{against}class {channel}{share}"
    return (f"{what} ({strength})", what, short)
