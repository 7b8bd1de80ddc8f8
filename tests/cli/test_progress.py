"""The progress line of long work."""

import io
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from onnxplain.cli.progress import Progress, working

SLOW = """
import sys, time
from onnxplain.cli.progress import working
with working("counting") as progress:
    for i in range(24):
        progress(i, 24)
        time.sleep(0.1)
print("done")
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def at(progress: Progress, clock: Clock, second: float) -> str:
    clock.now = 100 + second
    return str(progress)


def test_steps_have_a_rate_and_a_time_left() -> None:
    progress = Progress(clock := Clock())
    assert at(progress, clock, 5) == " (5 s)"  # reading the model
    progress(0, 8)
    assert at(progress, clock, 6) == f": 0% [{'.' * 16}] 0/8 (6 s)"
    clock.now = 100 + 25
    progress(2, 8)
    text = at(progress, clock, 25)
    assert text == f": 25% [{'#' * 4}{'.' * 12}] 2/8, 0.1/s, 1:00 left"
    assert at(progress, clock, 30).endswith("2/8, 0.1/s, 0:55 left")


def test_the_runs_of_a_single_step_count() -> None:
    progress = Progress(clock := Clock())
    progress(0, 1)
    clock.now = 100 + 10
    progress.runs(250, 1000)
    text = at(progress, clock, 10)
    assert text == f": 25% [{'#' * 4}{'.' * 12}] 250/1000, 25/s, 0:30 left"


def test_the_runs_of_several_steps_count_once_it_is_known_how_many_go_together() -> None:
    progress = Progress(clock := Clock())
    progress(0, 16)
    clock.now = 100 + 5
    progress.runs(100, 200)
    assert at(progress, clock, 5) == f": 50% [{'#' * 8}{'.' * 8}] 0/16 + 100/200 (5 s)"
    progress(8, 16)
    clock.now = 100 + 15
    progress.runs(100, 200)
    text = at(progress, clock, 15)
    assert text == f": 75% [{'#' * 12}{'.' * 4}] 8/16 + 100/200, 0.8/s, 0:05 left"
    progress(0, 4)  # the next of several methods
    assert "0% [." in at(progress, clock, 16)
    assert "left" not in at(progress, clock, 16)


def test_progress_shows_after_a_second_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with working("counting") as progress:
        progress(3, 7)
        time.sleep(1.2)
    shown = terminal.getvalue().split("\r\x1b[K")
    assert shown[0] == ""
    assert re.fullmatch(r"counting: 43% \[#{6}\.{10}\] 3/7 \(1 s\)", shown[1])
    assert shown[-1] == ""


def test_quick_work_shows_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with working("counting") as progress:
        progress(1, 1)
    assert terminal.getvalue() == ""


def test_no_progress_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with working("counting") as progress:
        progress(3, 7)
        time.sleep(1.2)
    assert file.getvalue() == ""


@pytest.mark.skipif(os.name != "posix", reason="no pseudo-terminals")
def test_on_a_narrow_terminal_the_line_stays_one_line(tmp_path: Path) -> None:
    """As a program on a pseudo-terminal of 40 columns sees it."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "40"}
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW],
        stdout=subprocess.PIPE,
        stderr=follower,
        env=environment,
    )
    os.close(follower)
    written = b""
    with process:
        while True:
            try:
                part = os.read(leader, 1024)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            written += part
        assert process.stdout is not None and process.stdout.read() == b"done\n"
    os.close(leader)
    lines = written.decode().split("\r\x1b[K")
    assert len(lines) >= 4  # after 1 and 1.5 and 2 seconds, and wiped at the end
    assert all(len(line) < 40 for line in lines)
    assert re.match(r"counting: [34]\d% \[#+\.+\] \d+/24", lines[1])
    assert lines[-1] == ""
