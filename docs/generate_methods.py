"""Writes the tables of docs/methods.md, between its two marks, from the declarations of methods.

make docs-methods
"""

from collections.abc import Iterator
from pathlib import Path

from onnxplain.engine.methods import METHODS, method_options

PAGE = Path(__file__).parent / "methods.md"
START, END = "<!-- tables by `make docs-methods` -->\n", "<!-- end of tables -->\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")


def page(text: str) -> str:
    """Return the page's text with the tables as they are to be."""
    before, _, rest = text.partition(START)
    return before + START + "\n" + "\n".join(tables()) + "\n\n" + END + rest.partition(END)[2]


def tables() -> Iterator[str]:
    """Yield the lines of the table of methods, then of that of options."""
    yield "| method | what it shows | after | defined as in | options | artefact |"
    yield "|---|---|---|---|---|---|"
    for method in METHODS.values():
        takes = ", ".join(f"`{option.name}`" for option in method.takes)
        exportable = "yes" if method.exportable else "no"
        cells = (f"`{method.name}`", method.summary, method.paper, method.peer, takes, exportable)
        yield "| " + " | ".join(cells) + " |"
    yield ""
    yield "| option | what it means | default | values |"
    yield "|---|---|---|---|"
    for option in method_options().values():
        values = option.limits or ", ".join(f"`{word}`" for word in option.choices)
        values = f"one, or one for each {option.each}" if option.each else values
        cells = (f"`{option.name}`", option.help, option.shown_default, values)
        yield "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
