"""Running many numbered cases in processes that may die, and counting how each ended."""

from __future__ import annotations

import resource
import selectors
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["Tally", "answer_cases", "run_cases"]

NUMBER = struct.Struct("<qH")  # a case's number and the length of the word that says how it ended
BEGIN = "begin"
MEMORY = 2**32  # bytes of addresses


@dataclass
class Tally:
    """How cases ended.

    ends: the number of cases by the word for their end. deaths, hangs, defects: by their cause, the
    numbers of the cases. defects are exceptions that no model and no request should raise.
    """

    ends: Counter[str] = field(default_factory=Counter)
    deaths: dict[str, list[int]] = field(default_factory=dict)
    hangs: dict[str, list[int]] = field(default_factory=dict)
    defects: dict[str, list[int]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.deaths or self.hangs or self.defects)

    def add(self, number: int, word: str) -> None:
        """Count a case; a word that begins with "!" names a defect."""
        self.ends[word.split(":")[0]] += 1
        if word.startswith("!"):
            self.defects.setdefault(word[1:], []).append(number)


def run_cases(command: Sequence[str], first: int, count: int, seconds: float = 30.0) -> Tally:
    """Run the cases from `first` on, in a process that is started again where one kills it.

    Args:
        command: starts a process that calls `answer_cases`, given the first case and their number.
        first: the number of the first case.
        count: the number of cases.
        seconds: after which a case hangs.

    Returns:
        How the cases ended.
    """
    tally, at = Tally(), first
    while at < first + count:
        at = _run(command, at, first + count, seconds, tally)
    return tally


def _run(command: Sequence[str], at: int, end: int, seconds: float, tally: Tally) -> int:
    """Run cases until they are done or the process is, and return the next one."""
    process = subprocess.Popen(
        [*command, str(at), str(end - at)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    running, hung = at, False
    with selectors.DefaultSelector() as selector, process:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(seconds) or not (hung := True):
            head = process.stdout.read(NUMBER.size)
            if not head:
                break
            number, length = NUMBER.unpack(head)
            word = process.stdout.read(length).decode()
            if word == BEGIN:
                running = number
            else:
                tally.add(number, word)
                running = number + 1
        if hung:
            process.send_signal(signal.SIGABRT)  # faulthandler writes where it hangs
            time.sleep(0.5)
            process.kill()
        error = process.stderr.read().decode(errors="replace")
    if running >= end:
        return end
    kind = tally.hangs if hung else tally.deaths
    name = "hang" if hung else _cause(process.returncode)
    tally.ends[f"({name})"] += 1
    kind.setdefault(f"{name}: {_place(error)}", []).append(running)
    return running + 1


def answer_cases(case: Callable[[int], str], first: int, count: int) -> None:
    """In the process that runs the cases: run them, and say on standard output how each ended.

    The process takes no more memory than a worker may.

    case: runs the case of a number, and returns the word for its end.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in range(first, first + count):
        for step in (lambda n: BEGIN, case):
            word = step(number).encode()[:1000]
            sys.stdout.buffer.write(NUMBER.pack(number, len(word)) + word)
            sys.stdout.buffer.flush()


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _place(error: str) -> str:
    """Return the innermost lines of the traceback that faulthandler wrote."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    frames = [line for line in lines if line.startswith("File")]
    return " < ".join(frames[:3]) or " ".join(lines[-3:])
