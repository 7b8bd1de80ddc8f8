"""What the declaration of an option holds, and how a value is checked against it.

Imports only the standard library.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from onnxplain.graphops.errors import OptionError, listed

__all__ = ["Option"]


@dataclass(frozen=True)
class Option:
    """The declaration of one option.

    name: as Python spells it.
    type: of the value: int, float, bool or str. help: its meaning, in a phrase.
    default: the value if none is chosen. default_text: a phrase for a computed default, else "".
    bounds: the least and the greatest allowed value. inside: whether the bounds are excluded.
    choices: the allowed words.
    each: "channel", "side" or "unit" where a list may hold one number for each of these.
    input: whether it is an input of the artefact instead of a constant.
    most_exported: the greatest value for which the service writes an artefact, whose size it sets.
    required_exported: whether a rewrite needs a value, as it has no picture to compute one from.
    """

    name: str
    type: type
    default: Any
    help: str
    bounds: tuple[float, float] = (-math.inf, math.inf)
    inside: bool = False
    choices: tuple[str, ...] = ()
    each: str = ""
    input: bool = False
    default_text: str = ""
    most_exported: float = math.inf
    required_exported: bool = False

    @property
    def words(self) -> str:
        """The name as words of a sentence."""
        return self.name.replace("_", " ")

    @property
    def flag(self) -> str:
        """The flag of the command line that sets it, unless a command names another."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def shown_default(self) -> str:
        """The default as text, or "" where there is none."""
        if self.required_exported:
            return f"{self.default_text}; required by a rewrite"
        if self.default_text or self.default is None or self.default == ():
            return self.default_text
        return str(self.default).lower() if self.type is bool else str(self.default)

    @property
    def limits(self) -> str:
        """The bounds as a phrase, or "" where there are none."""
        least, most = self.bounds
        if self.inside:
            return f"between {least:g} and {most:g}"
        if least == -math.inf:
            return ""
        return f"from {least} to {most:,}" if most < math.inf else f"at least {least}"

    def described(self, of: str = "") -> str:
        """Return the option's line in a docstring.

        Args:
            of: the methods that accept the option; "" for all.

        Returns:
            The option's name, help, choices and default.
        """
        default = f" (default: {self.shown_default})" if self.shown_default else ""
        words = f": {', '.join(self.choices)}" if self.choices else ""
        return f"{self.name}: {f'of {of}: ' if of else ''}{self.help}{words}{default}"

    def checked(self, value: Any) -> Any:
        """Return the value if it is valid, or the default for None.

        Args:
            value: the chosen value. A list's length is checked where it is used.

        Returns:
            The value, or the option's default.

        Raises:
            OptionError: the value is out of bounds, of another type, or not one of the choices.
        """
        if value is None:
            return self.default
        if self.choices and value not in self.choices:
            raise OptionError(
                f"no {self.words} '{value}': choose {listed(map(repr, self.choices))}"
            )
        if self.each or self.type not in (int, float):
            self._require_type(value)
            return value
        least, most = self.bounds
        kind = Integral if self.type is int else Real
        fits = isinstance(value, kind) and least <= value <= most and value < math.inf  # type: ignore[operator]
        if not fits or (self.inside and value in self.bounds):
            number = "a whole number" if self.type is int else "a number"
            limits = self.limits.replace("at least", "of at least")
            raise OptionError(f"{self.words} {value!r}: give {number} {limits}".rstrip())
        return value

    def _require_type(self, value: Any) -> None:
        """Raise OptionError for a word, a switch or a list of numbers of another type."""
        if self.type is str or self.type is bool:
            fits = isinstance(value, self.type)
            wanted = "a text" if self.type is str else "True or False"
        else:
            fits, wanted = _is_numbers(value), f"a number, or one for each {self.each}"
        if not fits:
            raise OptionError(f"{self.words} {value!r:.60}: give {wanted}")


def _is_numbers(value: Any) -> bool:
    """Tell whether a value is a number, or a list or an array of numbers, at any depth."""
    if isinstance(value, Real) or hasattr(value, "dtype"):
        return True
    return isinstance(value, list | tuple) and all(map(_is_numbers, value))
