"""The extension of mkdocs.yml for the reference: fields of a class become a list.

Class docstrings describe the fields in their last paragraphs, as `name: text` entries. The
reference shows these as sections of attributes, and the options of `**choices` as parameters.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pydoc import locate
from textwrap import dedent
from typing import Any, is_typeddict

import griffe

__all__ = ["Fields", "documented_fields"]

HEADED = re.compile(r"(?s)([A-Z][^\n]*):\n(    .*)")
START = re.compile(r"(?:(?<=\. )|\n)(?=(?:\w+, )*\w+: )")


class Fields(griffe.Extension):
    """Gives classes sections for their fields."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Rewrite a public class's docstring, which may have been made at import."""
        described = locate(cls.canonical_path)
        if not inspect.isclass(described) or cls.docstring is None or cls.name.startswith("_"):
            return
        cls.docstring.value = "\n\n".join(sections(described))
        if is_typeddict(described):  # unpack_typeddict makes parameters of these
            for name, text in documented_fields(described).items():
                cls.members[name].docstring = griffe.Docstring(text, parent=cls.members[name])


def documented_fields(described: type) -> dict[str, str]:
    """Return what a class's docstring says of its fields, by their names."""
    return {name: text for _, found in paragraphs(described) for name, text in found}


def sections(described: type) -> Iterator[str]:
    """Yield the paragraphs of a class's docstring, in the form that griffe reads."""
    arguments = {} if vars(described).get("__annotations__") else parameters(described)
    for prose, entries in paragraphs(described):
        if prose:
            yield prose
        if entries:
            title = "Args:" if entries[0][0] in arguments else "Attributes:"
            yield "\n".join([title, *(f"    {name}: {text}" for name, text in entries)])


def paragraphs(described: type) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield prose and entries: all of a paragraph is either, except for an entries' heading."""
    known = {*parameters(described), *dir(described)}
    for each in described.__mro__:
        known |= vars(each).get("__annotations__", {}).keys()
    for paragraph in (inspect.getdoc(described) or "").split("\n\n"):
        headed = HEADED.fullmatch(paragraph)
        if headed and headed[1] not in ("Args", "Raises"):
            heading = "" if headed[1] == described.__name__ else headed[1] + ":"
            paragraph = dedent(headed[2])
        else:
            heading = ""
        entries = list(read_entries(paragraph, known))
        yield (heading, entries) if entries else (paragraph, [])


def read_entries(paragraph: str, known: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of a paragraph's entries; none if it begins without one."""
    entries: list[tuple[list[str], list[str]]] = []
    for part in START.split(re.sub(r"\n +", " ", paragraph)):
        names, colon, text = part.partition(": ")
        if colon and known.issuperset(names.split(", ")):
            entries.append((names.split(", "), [text]))
        elif entries:
            entries[-1][1].append(part)
        else:
            return
    for names, texts in entries:
        for name in names:
            yield name, " ".join(" ".join(texts).split())


def parameters(described: type) -> dict[str, Any]:
    """Return the parameters of a class's constructor."""
    try:
        return dict(inspect.signature(described).parameters)
    except (TypeError, ValueError):
        return {}
