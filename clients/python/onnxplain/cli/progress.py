"""The line on a terminal that shows how far long work is: a bar, its rate and the time left."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator

__all__ = ["Progress", "working"]

FIRST = 1.0  # seconds before the line appears: short work shows none
EVERY = 0.5  # seconds between its changes
CELLS = 16  # of the bar


class Progress:
    """The progress of some work: called with the steps done and their total.

    runs: called with the runs done of the steps under way, and their total.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = self._last = clock()
        self._steps = self._runs = (0, 0)
        self._together = 0  # steps that are done at once, 0 while that is not known
        self._first: tuple[float, float] | None = None  # the fraction first heard of, and when

    def __call__(self, done: int, total: int) -> None:
        """Record the steps done; the next ones begin."""
        if done < self._steps[0]:  # other work: the next of several methods
            self._together, self._first = 0, None
        else:
            self._together = done - self._steps[0] or self._together
        self._steps, self._runs = (done, total), (0, 0)
        self._heard()

    def runs(self, done: int, total: int) -> None:
        """Record the runs done of the steps under way."""
        self._runs = (done, total)
        self._heard()

    def __str__(self) -> str:
        """Return ': 35% [#####...........] 350/1000, 24.6/s, 0:26 left', or the seconds so far."""
        now, counts = self._clock(), self._counts()
        seconds = f" ({now - self._start:.0f} s)"
        if not counts:
            return seconds
        fraction = self._fraction()
        shown = fraction if fraction is not None else self._runs[0] / self._runs[1]
        cells = int(CELLS * shown)
        bar = f"{100 * shown:.0f}% [{'#' * cells}{'.' * (CELLS - cells)}]"
        text = f": {bar} {' + '.join(f'{done}/{total}' for done, total in counts)}"
        if fraction is not None and self._first is not None:
            before, when = self._first
            if fraction > before and self._last > when:
                speed = (fraction - before) / (self._last - when)
                left = max(0, round((1 - fraction) / speed - (now - self._last)))
                return f"{text}, {speed * counts[0][1]:.3g}/s, {left // 60}:{left % 60:02d} left"
        return text + seconds

    def _counts(self) -> list[tuple[int, int]]:
        """Return the steps, and the runs under way; the runs alone of a single step."""
        counts = [(done, total) for done, total in (self._steps, self._runs) if total]
        return counts[1:] if len(counts) == 2 and self._steps[1] == 1 else counts

    def _fraction(self) -> float | None:
        """Return how much is done, None while runs are done of an unknown number of steps."""
        (steps, total), (runs, all_runs) = self._steps, self._runs
        if not runs or not total:
            return steps / total if total else None
        together = min(self._together or total, total - steps)
        if not self._together and total > 1:
            return None
        return (steps + together * runs / all_runs) / total

    def _heard(self) -> None:
        self._last = self._clock()
        fraction = self._fraction()
        if self._first is None and fraction is not None:
            self._first = (fraction, self._last)


@contextlib.contextmanager
def working(what: str) -> Iterator[Progress]:
    """Show the progress and the elapsed time in a line on stderr, after the first second.

    Yields the progress to update. Nothing is written unless stderr is a terminal.
    """
    progress = Progress()
    if not sys.stderr.isatty():
        yield progress
        return
    finished = threading.Event()

    def show() -> None:
        delay = FIRST
        while not finished.wait(delay):
            line = f"{what}{progress}"[: shutil.get_terminal_size().columns - 1]
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
            delay = EVERY
        sys.stderr.write("\r\x1b[K" if delay == EVERY else "")
        sys.stderr.flush()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        finished.set()
        thread.join()
