"""A table of `performance.py`: lines that are printed as they come, and verdicts on its goals."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Table", "Verdict"]


@dataclass(frozen=True)
class Verdict:
    """What was aimed at, and what was measured.

    goal: the limit in words, such as "at most 2.2". found: the figure, with its unit.
    """

    what: str
    goal: str
    found: str
    reached: bool


@dataclass
class Table:
    """The lines of a section of the page, and its verdicts."""

    title: str
    lines: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def __post_init__(self) -> None:
        print(f"\n## {self.title}\n", flush=True)

    def say(self, *lines: str) -> None:
        """Add lines of text."""
        for line in lines:
            print(line, flush=True)
            self.lines.append(line)

    def head(self, *cells: str, words: int = 1) -> None:
        """Begin a table. words: the number of columns, from the left, that hold words."""
        if self.lines:
            self.say("")
        self.say(f"| {' | '.join(cells)} |")
        self.say("|" + "---|" * words + "---:|" * (len(cells) - words))

    def row(self, *cells: str) -> None:
        self.say(f"| {' | '.join(cells)} |")

    def at_most(self, limit: float, found: float, what: str, unit: str = "") -> None:
        """Judge a figure that should be small, as it is printed."""
        found = round(found, 2)
        self._judge(f"at most {limit:g}{unit}", f"{found:.2f}{unit}", found <= limit, what)

    def at_least(self, limit: float, found: float, what: str, unit: str = "") -> None:
        """Judge a figure that should be large, as it is printed."""
        found = round(found, 2)
        self._judge(f"at least {limit:g}{unit}", f"{found:.2f}{unit}", found >= limit, what)

    def _judge(self, goal: str, found: str, reached: bool, what: str) -> None:
        self.verdicts.append(Verdict(what, goal, found, reached))
        print(f"  {'reached' if reached else 'NOT REACHED'}: {what}: {found}, {goal}", flush=True)
