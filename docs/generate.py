"""Writes what follows from the declarations of methods and options, and cannot be computed.

make generate

These are the tables of docs/methods.md, between two marks, the settings and the files of deploy/
in docs/service.md, and two modules for type checkers, which must read an option's name and type
instead of computing them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from inspect import cleandoc
from pathlib import Path
from textwrap import indent, wrap

from onnxplain.engine.arguments import CheckedChoices
from onnxplain.engine.methods import METHODS, method_options
from onnxplain.graphops.options import GENERAL, OPTIONS, Option
from onnxplain.server.config import declarations
from onnxplain.server.settings import Settings
from onnxplain.server.worker.bounds import COUNTS, VALUES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/methods.md"
SERVICE = ROOT / "docs/service.md"
DEPLOYED = {  # files of deploy/, with the language of each
    "onnxplain.service": "ini",
    "service.toml": "toml",
    "Dockerfile": "dockerfile",
    "kubernetes.yaml": "yaml",
}
ARGUMENTS = ROOT / "graphops/onnxplain/graphops/options/argument_types.py"
CHOICES = ROOT / "service/onnxplain/engine/choices.py"
START, END = "<!-- tables by `make generate` -->\n", "<!-- end of tables -->\n"
HEADER = '''\
"""{summary}

Written by `make generate` from the declarations of the options; do not edit it. Imports only the
standard library.
"""

from __future__ import annotations
'''


def main() -> None:
    """Write every file."""
    for path, text in generated().items():
        path.write_text(text, "utf-8")


def generated() -> Mapping[Path, str]:
    """Return the text of each file as it is to be."""
    return {
        PAGE: page(PAGE.read_text("utf-8")),
        SERVICE: service_page(SERVICE.read_text("utf-8")),
        ARGUMENTS: "\n".join(argument_lines()) + "\n",
        CHOICES: "\n".join(choice_lines()) + "\n",
    }


def page(text: str) -> str:
    """Return the page's text with the tables as they are to be."""
    before, _, rest = text.partition(START)
    return before + START + "\n" + "\n".join(tables()) + "\n\n" + END + rest.partition(END)[2]


def service_page(text: str) -> str:
    """Return the text of docs/service.md with the settings and the files of deploy/."""
    text = between(text, "settings", "\n".join(settings_tables()))
    text = between(text, "bounds", "\n".join(bound_tables()))
    for name, language in DEPLOYED.items():
        content = (ROOT / "deploy" / name).read_text("utf-8")
        text = between(text, f"deploy/{name}", f"```{language}\n{content}```")
    return text


def bound_tables() -> Iterator[str]:
    """Yield the lines of two tables: the greatest numbers, and the greatest lists."""
    for head, bounds in (("greatest number", VALUES), ("greatest count", COUNTS)):
        yield f"| field | {head} |"
        yield "|---|---|"
        yield from (f"| `{field}` | {most:,} |" for field, most in sorted(bounds.items()))
        yield ""


def between(text: str, name: str, content: str) -> str:
    """Return a page's text with the content between the two marks of a name."""
    start, end = f"<!-- {name} by `make generate` -->\n", f"<!-- end of {name} -->\n"
    before, _, rest = text.partition(start)
    return f"{before}{start}\n{content}\n\n{end}{rest.partition(end)[2]}"


def settings_tables() -> Iterator[str]:
    """Yield the lines of one table of settings for each of their groups."""
    group = ""
    for name, declaration in declarations().items():
        if declaration.group != group:
            yield from (
                ("", f"### {declaration.group}", "")
                if group
                else (
                    f"### {declaration.group}",
                    "",
                )
            )
            group = declaration.group
            yield "| setting | what it means | default |"
            yield "|---|---|---|"
        default = declaration.shown_default(getattr(Settings, name))
        yield f"| `{name}` | {declaration.help} | {default} |"


def tables() -> Iterator[str]:
    """Yield the lines of the table of methods, then of that of options."""
    yield "| method | name | what it shows | after | defined as in | options | artefact |"
    yield "|---|---|---|---|---|---|---|"
    for method in METHODS.values():
        takes = ", ".join(f"`{option.name}`" for option in method.takes)
        exportable = "yes" if method.exportable else "no"
        shown = (method.title, method.summary, method.paper, method.peer)
        cells = (f"`{method.name}`", *shown, takes, exportable)
        yield "| " + " | ".join(cells) + " |"
    yield ""
    yield "| option | what it means | default | values |"
    yield "|---|---|---|---|"
    for option in method_options().values():
        values = option.limits or ", ".join(f"`{word}`" for word in option.choices)
        values = f"one, or one for each {option.each}" if option.each else values
        cells = (f"`{option.name}`", option.help, option.shown_default, values)
        yield "| " + " | ".join(cells) + " |"


def argument_lines() -> Iterator[str]:
    """Yield the lines of the module that types `Options`."""
    own = [option for option in OPTIONS.values() if not option.input]
    yield HEADER.format(summary="The arguments and attributes of `Options`, for type checkers.")
    yield "from collections.abc import Sequence"
    yield "from typing import Literal, TypedDict\n"
    yield '__all__ = ["OptionArguments", "OwnOptions"]\n\n'
    yield "class OptionArguments(TypedDict, total=False):"
    yield '    """The keyword arguments of `Options`; None means the default."""\n'
    for option in (*GENERAL.values(), *own):
        yield f"    {option.name}: {argument_type(option, 'Sequence[{}]')} | None"
    yield "\n\nclass OwnOptions:"
    yield '    """The attributes of `Options` that are options of single methods."""\n'
    for option in own:
        kind = f"tuple[{word_type(option)}, ...]" if option.each else word_type(option)
        yield f"    {option.name}: {kind}{' | None' if option.default is None else ''}"


def choice_lines() -> Iterator[str]:
    """Yield the lines of the module that types the keyword arguments of `explain`."""
    general = [field for field in fields(CheckedChoices) if field.name != "own"]
    yield HEADER.format(summary="The keyword arguments of `explain`, for type checkers.")
    yield "import threading"
    yield "from collections.abc import Callable, Sequence"
    yield "from typing import TYPE_CHECKING, Literal, TypedDict\n"
    yield "if TYPE_CHECKING:"
    yield "    import numpy as np"
    yield "    import numpy.typing as npt\n"
    yield "    from onnxplain.engine.labels import Labels"
    yield "    from onnxplain.engine.pictures import Images, NamedInputs, Preprocess\n"
    yield '__all__ = ["Choices"]\n\n'
    yield "class Choices(TypedDict, total=False):"
    yield '    """The choices of an explanation besides model, images, layer, method and units.\n'
    yield "    Choices:"
    yield indent(
        cleandoc(CheckedChoices.__doc__ or "").partition("\n\n")[2], "        "
    ).rpartition("\n        own:")[0]
    yield "\n    Choices of single methods, where None means the default:"
    for option in method_options().values():
        takers = ", ".join(method.name for method in METHODS.values() if option in method.takes)
        text = option.described(of=takers)
        yield from wrap(
            text, 100, initial_indent=" " * 8, subsequent_indent=" " * 12, break_on_hyphens=False
        )
    yield '    """\n'
    for field in general:
        yield f"    {field.name}: {field.type}"
    for option in method_options().values():
        many = (
            "Sequence[{}]" if option.each == "side" else "Sequence[{}] | npt.NDArray[np.floating]"
        )
        yield f"    {option.name}: {argument_type(option, many)} | None"


def argument_type(option: Option, many: str) -> str:
    """Return the type of an argument, which may be `many` of an option that takes a list."""
    single = word_type(option)
    if not option.each:
        return single
    several = many.format(single)
    return several if option.each == "unit" else f"{single} | {several}"


def word_type(option: Option) -> str:
    """Return the type of a single value."""
    words = ", ".join(f'"{word}"' for word in option.choices)
    return f"Literal[{words}]" if words else str(option.type.__name__)


if __name__ == "__main__":
    main()
