"""The measured parts of docs/performance.md, which `performance.py` writes and no one else.

A part lies between `<!-- measured: NAME -->` and `<!-- end -->`; the text around them is written
by hand, and kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from performance_table import Table

__all__ = ["PAGE", "with_part", "write_page"]

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
HEAD = "| section | goal | aim | measured | |\n|---|---|---|---:|---|"
NOTHING = "not measured"
REACHED = {True: "reached", False: "**not reached**"}


def write_page(tables: Mapping[str, Table], all_names: list[str], machine: str) -> None:
    """Replace the parts of these tables, and their rows among the goals.

    Figures of two machines, or of two versions, never stand on one page: unless all tables were
    measured, those on the page must be of this machine. Exits if they are not.
    """
    text = PAGE.read_text("utf-8")
    whole = set(tables) >= set(all_names)
    if not whole and _part(text, "machine") not in (NOTHING, machine):
        raise SystemExit(
            f"{PAGE.name} has tables of another machine or of other versions and was left as it "
            "is: run `make bench` for all tables"
        )
    text = with_part(text, "machine", machine)
    rows = {} if whole else _rows(_part(text, "goals"))
    rows |= {table.title: _verdicts(table) for table in tables.values()}
    text = with_part(
        text, "goals", "\n".join([HEAD, *(row for some in rows.values() for row in some)])
    )
    for name, table in tables.items():
        text = with_part(text, name, "\n".join(table.lines))
    PAGE.write_text(text, "utf-8")


def _verdicts(table: Table) -> list[str]:
    link = f"[{table.title}](#{table.title.lower().replace(' ', '-')})"
    return [
        f"| {link} | {v.what} | {v.goal} | {v.found} | {REACHED[v.reached]} |"
        for v in table.verdicts
    ]


def _rows(goals: str) -> dict[str, list[str]]:
    """Return the rows of the page's table of goals by their section's title."""
    rows: dict[str, list[str]] = {}
    for line in goals.splitlines():
        if title := re.match(r"\| \[([^]]+)\]", line):
            rows.setdefault(title[1], []).append(line)
    return rows


def _part(text: str, name: str) -> str:
    return _found(text, name)[2].strip()


def with_part(text: str, name: str, content: str) -> str:
    """Return the page's text with a part replaced."""
    part = _found(text, name)
    return f"{text[: part.start(2)]}\n{content}\n\n{text[part.end(2) :]}"


def _found(text: str, name: str) -> re.Match[str]:
    mark = rf"(<!-- measured: {name} -->\n)(.*?)(<!-- end -->)"
    if not (part := re.search(mark, text, re.DOTALL)):
        raise SystemExit(f"{PAGE.name} has lost its part '<!-- measured: {name} -->'")
    return part
