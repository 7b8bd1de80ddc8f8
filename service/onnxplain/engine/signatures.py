"""The choices of an explanation in the signature and the docstring of a function of **choices."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from textwrap import indent
from typing import Any, TypeVar

from onnxplain.engine.arguments import CheckedChoices
from onnxplain.engine.choices import Choices

__all__ = ["with_choices"]

F = TypeVar("F", bound=Callable[..., Any])
ENTRY = re.compile(r"^    \*\*choices: .*\n(?:     .*\n)*", re.MULTILINE)


def with_choices(function: F) -> F:
    """List every choice in a function's signature and docstring, in place of **choices.

    Type checkers know them, and their types, by `Choices`.
    """
    signature = inspect.signature(function)
    named = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    signature = signature.replace(parameters=[*named, *_parameters()])
    vars(function)["__signature__"] = signature
    text = inspect.cleandoc(function.__doc__ or "")
    function.__doc__ = ENTRY.sub(lambda _: _entries(), text)
    return function


def _parameters() -> Iterator[inspect.Parameter]:
    defaults = {field.name: field.default for field in fields(CheckedChoices)}
    for name in Choices.__annotations__:
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name))


def _entries() -> str:
    """Return the lines of a docstring's Args that describe the choices."""
    text = inspect.cleandoc(Choices.__doc__ or "")
    sections = re.findall(r"^Choices.*:\n((?:    .*\n?)+)", text, re.MULTILINE)
    return indent("".join(inspect.cleandoc(s) + "\n" for s in sections), "    ")
