"""What a soak found, as text and as a section of docs/reliability.md."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from soak_load import Load
from soak_service import Life, Memory, slope

__all__ = ["Report", "write_section"]

HEADING = "## Mixed load while workers are killed"
AGE = 4.0  # seconds, at which workers are compared with each other
# In MiB over the whole time watched. An allocator keeps what fragments hold, so a process is never
# quite flat; what leaks with every call is far beyond these after some thousand calls.
MOST_GROWTH = {"the edge": 16.0, "a worker that is not killed": 64.0}
SHORTEST = 60.0  # seconds of samples that tell a leak from a start


@dataclass
class Report:
    """What a soak found; `wrong` is what should not have happened."""

    seconds: float
    clients: int
    workers: int
    load: Load
    memory: Memory
    killed: int
    wrong: list[str]
    warm_share: float

    def __post_init__(self) -> None:
        self.growth = list(self._growth())
        for name, minutes, per_minute, mean in self.growth:
            if minutes * 60 >= SHORTEST and per_minute * minutes > MOST_GROWTH[name]:
                self.wrong.append(
                    f"memory of {name} grows by {per_minute:.2f} MiB a minute, {mean}"
                )
        lost = self.load.started - self.load.ended.total()
        if lost:
            self.wrong.append(f"{lost} calls did not end")

    def text(self) -> str:
        """Return the report as the section of a page."""
        return "\n".join(
            [*self._summary(), "", *self._calls(), "", *self._memory(), "", *self._wrong()]
        )

    def _summary(self) -> list[str]:
        ended = self.load.ended
        right = sum(n for (_, end), n in ended.items() if end == "right answer")
        latency = np.percentile(self.load.seconds or [0], [50, 95, 99]) * 1000
        return [
            f"{self.load.started:,} calls in {self.seconds / 60:.1f} minutes by {self.clients} "
            f"clients at once, through the edge and {self.workers} workers; {self.killed} times a "
            f"worker was killed. {right:,} answers were the engine's own; "
            f"{ended.total() - right:,} calls ended with the statuses below; "
            f"{self.load.started - ended.total()} were lost. "
            f"Calls that nobody cut short took {latency[0]:.0f} ms at the median, "
            f"{latency[1]:.0f} ms at the 95th and {latency[2]:.0f} ms at the 99th percentile.",
        ]

    def _calls(self) -> list[str]:
        ends: dict[str, list[str]] = {}
        for (name, end), number in sorted(self.load.ended.items(), key=lambda one: -one[1]):
            ends.setdefault(name, []).append(f"{number:,} {end}")
        lines = [f"| {name} | {', '.join(ends[name])} |" for name in sorted(ends)]
        return ["| call | how it ended |", "|---|---|", *lines]

    def _memory(self) -> list[str]:
        lines = ["| process | resident memory | slope | minutes watched |", "|---|---|---|---|"]
        for name, minutes, per_minute, mean in self.growth:
            lines.append(f"| {name} | {mean} | {per_minute:+.2f} MiB a minute | {minutes:.1f} |")
        times, sizes = self.memory.at_age(AGE)
        if sizes:
            lines.append(
                f"| workers at the age of {AGE:g} s ({len(sizes)} of them) | "
                f"{np.mean(sizes):.0f} MiB | {slope(times, sizes):+.2f} MiB a minute | "
                f"{(max(times) - min(times)) / 60:.1f} |"
            )
        return lines

    def _wrong(self) -> list[str]:
        if not self.wrong:
            return ["Nothing went wrong, and at the end no slot was taken."]
        return ["Wrong:", "", *(f"- {text}" for text in self.wrong)]

    def _growth(self) -> list[tuple[str, float, float, str]]:
        """Return name, minutes watched, MiB per minute and mean of each process that lived long."""
        lives = [("the edge", self.memory.edge)]
        for life in self.memory.workers.values():
            if life.times and life.times[-1] - life.times[0] > self.seconds / 3:
                lives.append(("a worker that is not killed", life))
        return [(name, *self._flat(life)) for name, life in lives]

    def _flat(self, life: Life) -> tuple[float, float, str]:
        begin = int(len(life.times) * self.warm_share)
        times, sizes = life.times[begin:], life.mebibytes[begin:]
        return (times[-1] - times[0]) / 60, slope(times, sizes), f"{np.mean(sizes):.0f} MiB"


def write_section(page: Path, report: Report, flags: list[str]) -> None:
    """Put the report in the place of its section of a page."""
    command = " ".join(["python bench/soak.py", *flags])
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    text = f"{HEADING}\n\n`{command}` on {machine}:\n\n{report.text()}\n"
    written = page.read_text() if page.exists() else "# Reliability\n"
    before, found, after = written.partition(HEADING)
    _, next_heading, rest = after.partition("\n## ")
    if found:
        page.write_text(before + text + (f"{next_heading}{rest}" if next_heading else ""))
    else:
        page.write_text(f"{before.rstrip()}\n\n{text}")
