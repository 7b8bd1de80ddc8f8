"""The extensions of mkdocs.yml for the reference.

Class docstrings describe fields in their last paragraphs, as `name: text` entries: these become
sections of attributes. What `**choices` may be becomes a list of parameters. Functions that are
methods by assignment become methods.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Iterator
from pydoc import locate
from textwrap import dedent
from typing import Any

import griffe

__all__ = ["AssignedFunctions", "Fields", "NamedChoices", "documented_fields"]

ENGINE, FUNCTIONS = "onnxplain.engine.engine.Engine", "onnxplain.engine.default_engine"
CLIENT = "onnxplain.client.client"
POSITIONAL = griffe.ParameterKind.positional_or_keyword
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


class NamedChoices(griffe.Extension):
    """Lists what a TypedDict allows in place of **choices, and shows defaults by their values."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Rewrite the section of parameters."""
        for parameter in func.parameters:
            if parameter.default and str(parameter.default).isupper():
                called = inspect.signature(locate(func.canonical_path))
                parameter.default = repr(called.parameters[parameter.name].default)
        last = next(reversed(list(func.parameters)), None)
        unpacked = re.fullmatch(r"Unpack\[(\w+)\]", str(last.annotation)) if last else None
        if unpacked is None or func.docstring is None:
            return
        choices = func.modules_collection.get_member(func.resolve(unpacked[1]))
        path = choices.canonical_path
        described = locate(path)
        if not documented_fields(described):  # StyleOptions are the fields of Style
            described = locate(path.removesuffix("Options"))
        texts = documented_fields(described)
        defaults = parameters(described) | parameters(locate(func.canonical_path))
        for section in func.docstring.parsed:
            if section.kind is griffe.DocstringSectionKind.parameters:
                section.value = [one for one in section.value if not one.name.startswith("**")]
                section.value += (
                    griffe.DocstringParameter(
                        name,
                        annotation=choices.members[name].annotation,
                        description=text,
                        value=repr(defaults[name].default) if name in defaults else None,
                    )
                    for name, text in texts.items()
                )


class AssignedFunctions(griffe.Extension):
    """Shows functions in the place of what is assigned.

    The views as methods of Engine, and these as functions of the default engine; and the methods of
    the client that blocks, `NAME = blocking(CLASS.NAME)`.
    """

    def on_package(self, *, loader: griffe.GriffeLoader, **_: Any) -> None:
        """Put functions in the place of what is assigned."""
        engine = loader.modules_collection.get_member(ENGINE)
        functions = loader.modules_collection.get_member(FUNCTIONS)
        for name, member in tuple(engine.members.items()):
            if member.is_attribute and isinstance(member.value, griffe.Expr):
                view = loader.modules_collection.get_member(member.value.canonical_path)
                if view.is_module:  # of the name of its function
                    view = view[name]
                engine.set_member(name, copied(view, "self"))
        for name in functions.exports or ():
            functions.set_member(name, copied(engine.members[name]))
        client = loader.modules_collection.get_member(CLIENT)
        for described in (client["Client"], client["ServedOperation"]):
            for name, member in tuple(described.members.items()):
                if member.is_attribute and str(member.value).startswith("blocking("):
                    path = member.value.arguments[0].canonical_path.rpartition(".")[0]
                    method = loader.modules_collection.get_member(path).all_members[name]
                    described.set_member(name, copied(method, "self"))


def copied(function: griffe.Function, *first: str) -> griffe.Function:
    """Return a copy of a function with other names for its first parameter, or without it."""
    parameters = [griffe.Parameter(name, kind=POSITIONAL) for name in first]
    for parameter in tuple(function.parameters)[1:]:
        parameters.append(copy.copy(parameter))
    docstring = griffe.Docstring(function.docstring.value, parser="google")
    result = griffe.Function(
        function.name,
        parameters=griffe.Parameters(*parameters),
        returns=function.returns,
        docstring=docstring,
    )
    docstring.parent = result
    return result


def documented_fields(described: type) -> dict[str, str]:
    """Return what a class's docstring says of its fields, by their names."""
    return {name: text for _, found in paragraphs(described) for name, text in found}


def sections(described: type) -> Iterator[str]:
    """Yield the paragraphs of a class's docstring, in the form that griffe reads."""
    arguments = {} if vars(described).get("__annotations__") else parameters(described)
    for prose, entries in paragraphs(described):
        if prose:
            yield prose
        for title, taken in (("Args:", True), ("Attributes:", False)):
            lines = [f"    {n}: {text}" for n, text in entries if (n in arguments) is taken]
            if lines:
                yield "\n".join([title, *lines])


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


def parameters(described: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function or a class's constructor."""
    try:
        return dict(inspect.signature(described).parameters)
    except (TypeError, ValueError):
        return {}
