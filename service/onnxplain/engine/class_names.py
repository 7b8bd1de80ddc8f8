"""Finding a class by its name, as on the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnxplain.graphops.errors import OptionError, nearest

__all__ = ["class_index"]


def class_index(text: str, labels: Sequence[str]) -> int:
    """Return the index of a class that is given by its index or its name.

    Args:
        text: digits, or a name: one of the labels; else, in any case of letters, a whole label, its
            first synonym, or any synonym. ImageNet's labels list synonyms, separated by commas.
        labels: class names by channel; empty where there are none.

    Returns:
        The index. One that is given in digits is not compared with the labels.

    Raises:
        OptionError: no class has the name, or several have, or there are no names.
    """
    if text.isdecimal():
        return int(text)
    if not labels:
        raise OptionError(
            f"no class '{text}': the names of the classes are not known, give them (--labels) or "
            "the index of the class"
        )
    ways: tuple[Callable[[str], bool], ...] = (
        lambda label: label == text,
        lambda label: label.casefold() == text.casefold(),
        lambda label: _synonyms(label)[0] == text.casefold(),
        lambda label: text.casefold() in _synonyms(label),
    )
    for has_name in ways:
        found = [index for index, label in enumerate(labels) if has_name(label)]
        if len(found) > 1:
            raise OptionError(
                f"class '{text}' is ambiguous: give the index, {found[0]} ('{labels[found[0]]}') "
                f"or {found[1]} ('{labels[found[1]]}')"
            )
        if found:
            return found[0]
    raise OptionError(f"no class '{text}' ({nearest(text, filter(None, labels))})")


def _synonyms(label: str) -> list[str]:
    return [name.strip().casefold() for name in label.split(",")]
